#include "agent/redis/mirror.h"

#include <gmock/gmock.h>

#include "tests/unit/redis/mirror_fixture.h"

namespace stickmesh::redis {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(MirrorTest, AnEntryIsAHashThatEndsWithIt) {
  declare("t");
  connect();
  set("t", "joe", {{"gpc0", 7}});
  run_and_settle();
  EXPECT_THAT(server_.commands,
              ElementsAre(Words{"HSET", kAgents, "agent-1", "1"},
                          Words{"HSET", kTables, "t", "type string len 32 expire 10m store gpc0"},
                          Words{"HSET", kJoe, "gpc0", "7"}, Words{"PEXPIRE", kJoe, "599980"}));
}

TEST_F(MirrorTest, WhatNeverEndsHasNoLife) {
  declare("t", {{DataType::kGpc0}}, Duration(0));
  connect();
  set("t", "joe", {{"gpc0", 7}});
  run_and_settle();
  EXPECT_EQ(server_.field(kJoe, "gpc0"), "7");
  EXPECT_EQ(server_.count("PEXPIRE"), 0U);
  EXPECT_EQ(server_.field(kTables, "t"), "type string len 32 store gpc0");
  EXPECT_EQ(standing().behind, 0U) << "its one command confirms it";
}

TEST_F(MirrorTest, ManyChangesAreWrittenOnceInTheNewestState) {
  declare("t");
  for (std::uint64_t value = 1; value <= 50; ++value) {
    set("t", "joe", {{"gpc0", value}});
    run();
  }
  connect();
  settle();
  EXPECT_EQ(server_.count("HSET", kJoe), 1U);
  EXPECT_EQ(server_.field(kJoe, "gpc0"), "50");
}

TEST_F(MirrorTest, AChangeBehindWhatIsInFlightIsWrittenAfterIt) {
  declare("t");
  connect();
  set("t", "joe", {{"gpc0", 1}});
  run();
  flush();
  for (std::uint64_t value = 2; value <= 9; ++value) {
    set("t", "joe", {{"gpc0", value}});
    run();
  }
  settle();
  EXPECT_EQ(server_.count("HSET", kJoe), 2U);
  EXPECT_EQ(server_.field(kJoe, "gpc0"), "9");
}

TEST_F(MirrorTest, WhatHasNotChangedIsNotWrittenAgain) {
  declare("t");
  connect();
  fill("t", 10);
  run_and_settle();
  const std::size_t before = server_.commands.size();
  for (int round = 0; round < 10; ++round) run_and_settle();
  EXPECT_EQ(server_.commands.size(), before);
}

TEST_F(MirrorTest, ABoundedNumberIsInFlightAndAllArrives) {
  declare("t");
  declare("u");
  connect();
  fill("t", 4000, 3);
  fill("u", 4000, 4);
  run();
  flush();
  EXPECT_FALSE(mirror_.can_go_on(*session_)) << "enough is in flight";
  EXPECT_LE(most_at_once_, 520U) << "HSET and PEXPIRE of 256 entries, and the list";
  const std::uint64_t first = session_->in_flight();
  EXPECT_GE(first, 1000U);
  EXPECT_LE(first, 2100U);
  for (int round = 0; round < 10; ++round) flush();
  EXPECT_EQ(session_->in_flight(), first) << "until there are replies";
  settle();
  EXPECT_LE(most_in_flight_, 2100U);
  EXPECT_EQ(standing().behind, 0U);
  EXPECT_EQ(mirrored("t", "3"), 4000U);
  EXPECT_EQ(mirrored("u", "4"), 4000U);
  EXPECT_EQ(server_.count("HSET"), 8'003U);
}

TEST_F(MirrorTest, LargeEntriesAreBoundedByTheirBytes) {
  declare("t", {{DataType::kGpcRate, 100, Duration(10'000)}});
  connect();
  for (int key = 0; key < 300; ++key) set("t", "key-" + std::to_string(key), {{"gpc7_rate", 5}});
  run();
  flush();
  EXPECT_NE(standing().behind, 0U);
  EXPECT_LE(session_->pending().size(), (std::size_t{1} << 20U) + 20'000);
  settle();
  EXPECT_EQ(server_.keys.size(), 302U);
}

TEST_F(MirrorTest, NoTableIsLastForever) {
  for (const char* name : {"a", "b", "c"}) declare(name);
  connect();
  settle();
  for (const char* name : {"a", "b", "c"}) fill(name, 3000);
  run();
  // While "a" alone has more than may be in flight, the others get their turn, too.
  for (int round = 0; round < 3; ++round) {
    fill("a", 3000, 2 + static_cast<std::uint64_t>(round));
    run();
    flush();
    to_server();
    to_agent();
  }
  EXPECT_GT(mirrored("b", "1"), 0U);
  EXPECT_GT(mirrored("c", "1"), 0U);
}

TEST_F(MirrorTest, ClearedEntriesAreRemoved) {
  declare("t");
  connect();
  set("t", "joe");
  set("t", "amy");
  run_and_settle();
  clear("t", "joe");
  run_and_settle();
  EXPECT_EQ(server_.count("DEL", kJoe), 1U);
  EXPECT_EQ(server_.keys.count(kJoe), 0U);
  EXPECT_EQ(server_.keys.count("stickmesh:t:amy"), 1U);
  EXPECT_EQ(standing().removed, 1U);
  set("t", "joe", {{"gpc0", 3}});
  run_and_settle();
  EXPECT_EQ(server_.field(kJoe, "gpc0"), "3");
}

TEST_F(MirrorTest, WhatHasGoneBeforeItsTurnIsNotWritten) {
  declare("t", {{DataType::kGpc0}}, Duration(1000));
  set("t", "joe");
  run();
  for (int round = 0; round < 100; ++round) run(Duration(100));
  ASSERT_EQ(entry("t", "joe"), store::kNone);
  set("t", "amy");
  run();
  connect();
  settle();
  EXPECT_EQ(server_.count("HSET", kJoe), 0U);
  EXPECT_EQ(server_.count("HSET", "stickmesh:t:amy"), 1U);
}

TEST_F(MirrorTest, LaterTablesAreFoundToo) {
  declare("t");
  connect();
  set("t", "joe");
  run_and_settle();
  declare("u");
  set("u", "joe", {{"gpc0", 8}});
  run_and_settle();
  EXPECT_EQ(server_.field("stickmesh:u:joe", "gpc0"), "8");
  EXPECT_NE(server_.field(kTables, "u"), "-");
}

TEST_F(MirrorTest, AggregatedAndReplicatedTablesAreMirroredUnderTheirOwnName) {
  declare("sum");
  declare("same");
  connect();
  set("sum", "joe", {{"gpc0", 4}});
  set("same", "joe", {{"gpc0", 5}});
  run_and_settle();
  EXPECT_EQ(server_.field("stickmesh:sum:joe", "gpc0"), "4");
  EXPECT_EQ(server_.field("stickmesh:same:joe", "gpc0"), "5");
}

TEST_F(MirrorTest, ATableThatGainsTypesIsListedAnew) {
  declare("t");
  connect();
  set("t", "joe");
  run_and_settle();
  TableDefinition more = table("t").table->definition();
  more.types.push_back({DataType::kHttpReqRate, 1, Duration(10'000)});
  ASSERT_TRUE(table("t").table->extend(more));
  set("t", "joe", {{"gpc0", 2}});
  run_and_settle();
  EXPECT_EQ(server_.count("HSET", kTables), 2U);
  EXPECT_EQ(server_.field(kTables, "t"), "type string len 32 expire 10m store gpc0,http_req_rate(10s)");
  EXPECT_EQ(server_.field(kJoe, "gpc0"), "2");
  EXPECT_EQ(server_.field(kJoe, "http_req_rate"), "0");
}

TEST_F(MirrorTest, ATableWithoutTypesHasNothingToWrite) {
  declare("t", {});
  connect();
  set("t", "joe", {});
  run_and_settle();
  run_and_settle();
  EXPECT_EQ(server_.count("HSET", kJoe), 0U);
  EXPECT_EQ(standing().refused, 0U);
  EXPECT_EQ(standing().behind, 0U);
}

TEST_F(MirrorTest, NothingIsSentWithoutTables) {
  connect();
  for (int round = 0; round < 5; ++round) run_and_settle(Duration(1000));
  EXPECT_THAT(server_.commands, IsEmpty());
}

class SomeTablesTest : public MirrorTest {
 protected:
  SomeTablesTest() : MirrorTest("web*") {}
};

TEST_F(SomeTablesTest, OthersAreLeftOut) {
  for (const char* name : {"web", "web.api", "mail", "sum", "same"}) declare(name);
  connect();
  for (const char* name : {"web", "web.api", "mail", "sum", "same"}) set(name, "joe");
  run_and_settle();
  std::vector<std::string> keys;
  for (const auto& [key, value] : server_.keys) keys.push_back(key);
  EXPECT_THAT(keys, ElementsAre(kAgents, kTables, "stickmesh:web.api:joe", "stickmesh:web:joe"));
  EXPECT_EQ(server_.keys[kTables].fields.size(), 2U);
}

}  // namespace
}  // namespace stickmesh::redis
