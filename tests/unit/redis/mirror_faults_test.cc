#include <gmock/gmock.h>

#include "tests/unit/redis/mirror_fixture.h"

namespace stickmesh::redis {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr Duration kCheckEvery{2000};

class MirrorFaultsTest : public MirrorTest {
 protected:
  MirrorFaultsTest() {
    declare("t");
    connect();
  }
  /// The keys of the commands of that name since the last call.
  std::vector<std::string> keys_of(std::string_view name) {
    std::vector<std::string> keys;
    for (const Words& words : std::exchange(server_.commands, {})) {
      if (words[0] == name && words[1] != kTables && words[1] != kAgents) keys.push_back(words[1]);
    }
    return keys;
  }
  static std::vector<std::string> names(int from, int to) {
    std::vector<std::string> all;
    for (int key = from; key < to; ++key) all.push_back("stickmesh:t:key-" + std::to_string(key));
    return all;
  }
  void answer_with(const std::string& kind, const std::string& command) {
    server_.refuses = [=](const Words& words) -> std::optional<std::string> {
      if (words[0] == command && words[1] != kTables && words[1] != kAgents)
        return "-" + kind + " said by the test\r\n";
      return std::nullopt;
    };
  }
};

TEST_F(MirrorFaultsTest, ALostSessionRepeatsWhatWasNotConfirmed) {
  settle();
  fill("t", 10);
  run();
  flush();
  to_server();
  // Four entries are confirmed, of the fifth only its fields.
  to_agent(9);
  EXPECT_EQ(keys_of("HSET"), names(0, 10));
  cut();
  connect();
  settle();
  EXPECT_EQ(keys_of("HSET"), names(4, 10));
  EXPECT_EQ(mirrored("t", "1"), 10U);
}

TEST_F(MirrorFaultsTest, ALostSessionRepeatsNothingThatWasConfirmed) {
  fill("t", 10);
  run_and_settle();
  server_.commands.clear();
  cut();
  connect();
  settle();
  EXPECT_THAT(server_.commands, IsEmpty());
}

TEST_F(MirrorFaultsTest, WhateverTheMomentOfTheLossAllArrives) {
  settle();
  // Each key three ways: written, removed, and at something else.
  for (std::size_t arrives = 0; arrives <= 60; ++arrives) {
    server_.keys["stickmesh:t:key-3"] = {false, {}, {}};
    fill("t", 10, arrives + 2);
    clear("t", "key-5");
    run();
    flush();
    to_server();
    to_agent(std::min<std::size_t>(arrives, 19));
    flush();
    // What makes room may have arrived, or not.
    if (arrives % 2 == 0) to_server();
    to_agent(arrives % 2 != 0 || arrives < 19 ? 0 : std::min<std::size_t>(arrives - 19, 3));
    cut();
    connect();
    for (int round = 0; round < 3; ++round) settle();
    EXPECT_EQ(mirrored("t", std::to_string(arrives + 2)), 9U) << arrives;
    EXPECT_EQ(server_.keys.count("stickmesh:t:key-5"), 0U) << arrives;
    EXPECT_EQ(standing().behind, 0U) << arrives;
  }
}

TEST_F(MirrorFaultsTest, ADefinitionThatWasNotConfirmedIsRepeated) {
  flush();
  cut();
  EXPECT_THAT(server_.commands, IsEmpty());
  connect();
  settle();
  EXPECT_EQ(server_.count("HSET", kTables), 1U);
  cut();
  connect();
  settle();
  EXPECT_EQ(server_.count("HSET", kTables), 1U);
}

TEST_F(MirrorFaultsTest, AServerThatIsAnotherIsWrittenAnew) {
  fill("t", 10);
  run_and_settle();
  cut();
  server_.keys.clear();
  server_.run = "run-2";
  connect();
  settle();
  EXPECT_EQ(mirrored("t", "1"), 10U);
  EXPECT_NE(server_.field(kTables, "t"), "-");
  EXPECT_EQ(standing().rewritten, 1U);
}

TEST_F(MirrorFaultsTest, AServerThatWasFlushedIsWrittenAnew) {
  fill("t", 10);
  run_and_settle();
  server_.keys.clear();
  run_and_settle(kCheckEvery - Duration(20));
  EXPECT_THAT(server_.keys, IsEmpty()) << "it is not looked yet";
  run_and_settle();
  settle();
  EXPECT_EQ(mirrored("t", "1"), 10U);
  EXPECT_NE(server_.field(kTables, "t"), "-");
  EXPECT_EQ(standing().rewritten, 1U);
}

TEST_F(MirrorFaultsTest, AServerThatHasAllIsOnlyAsked) {
  fill("t", 10);
  run_and_settle();
  server_.commands.clear();
  for (int round = 0; round < 30; ++round) run_and_settle(Duration(500));
  // One question each two seconds, or at the first occasion after them.
  EXPECT_EQ(server_.count("HLEN", kTables), 7U);
  EXPECT_EQ(server_.count("HEXISTS", kAgents), 7U);
  EXPECT_EQ(server_.commands.size(), 14U);
  EXPECT_EQ(standing().rewritten, 0U);
}

TEST_F(MirrorFaultsTest, OneQuestionAtATime) {
  settle();
  for (int round = 0; round < 10; ++round) {
    run(kCheckEvery);
    flush();
    to_server();
  }
  EXPECT_EQ(server_.count("HLEN"), 1U);
  to_agent();
  run_and_settle(kCheckEvery);
  EXPECT_EQ(server_.count("HLEN"), 2U);
}

TEST_F(MirrorFaultsTest, TheQuestionIsAskedInTheNextSessionThough) {
  settle();
  run(kCheckEvery);
  flush();
  cut();
  connect();
  run_and_settle(kCheckEvery);
  EXPECT_EQ(server_.count("HLEN"), 1U);
}

// Whether what is in flight was written before or after the flush, nobody knows.
TEST_F(MirrorFaultsTest, WhatIsInFlightAtAFlushIsWrittenAnewToo) {
  fill("t", 10);
  run_and_settle();
  server_.keys.clear();
  run(kCheckEvery);
  flush();
  fill("t", 5, 2);
  run();
  flush();
  to_server();
  server_.keys.clear();
  to_agent();
  // Its confirmation must not stand for the older ones.
  cut();
  connect();
  for (int round = 0; round < 3; ++round) settle();
  EXPECT_EQ(mirrored("t", "2"), 5U);
  EXPECT_EQ(mirrored("t", "1"), 5U);
}

TEST_F(MirrorFaultsTest, SomethingElseAtAKeyMakesRoom) {
  settle();
  server_.keys[kJoe] = {false, {}, {}};
  server_.commands.clear();
  set("t", "joe", {{"gpc0", 4}});
  set("t", "amy", {{"gpc0", 5}});
  run_and_settle();
  settle();
  EXPECT_EQ(server_.keys[kJoe], (FakeRedis::Value{true, {{"gpc0", "4"}}, 599'980}));
  EXPECT_EQ(server_.field("stickmesh:t:amy", "gpc0"), "5");
  EXPECT_EQ(server_.count("DEL"), 1U);
  EXPECT_EQ(server_.count("HSET", kJoe), 2U);
  EXPECT_EQ(standing().written, 2U);
  EXPECT_EQ(standing().removed, 0U) << "it was no entry";
  EXPECT_EQ(standing().refused, 0U);
  ASSERT_EQ(errors_.recent().size(), 1U);
  EXPECT_EQ(errors_.recent()[0].where, "Redis, table t");
  EXPECT_THAT(errors_.recent()[0].detail, StartsWith("WRONGTYPE: "));
}

TEST_F(MirrorFaultsTest, RoomIsNotMadeForWhatHasGone) {
  settle();
  server_.keys[kJoe] = {false, {}, {}};
  set("t", "joe");
  run();
  flush();
  to_server();
  to_agent();
  table("t").table->remove_entry(entry("t", "joe"));
  settle();
  EXPECT_EQ(server_.count("DEL"), 0U);
  EXPECT_FALSE(server_.keys[kJoe].hash) << "it is somebody else's";
}

TEST_F(MirrorFaultsTest, RoomThatWasNotMadeBeforeTheSessionEndedIsMadeInTheNext) {
  settle();
  for (std::size_t arrives = 0; arrives < 4; ++arrives) {
    server_.keys[kJoe] = {false, {}, {}};
    set("t", "joe", {{"gpc0", 10 + arrives}});
    run();
    flush();
    to_server();
    to_agent();
    // DEL, HSET and PEXPIRE are under way, and as many of them arrive.
    flush();
    if (arrives != 0) to_server();
    to_agent(arrives);
    cut();
    connect();
    for (int round = 0; round < 2; ++round) settle();
    EXPECT_EQ(server_.field(kJoe, "gpc0"), std::to_string(10 + arrives)) << arrives;
  }
}

TEST_F(MirrorFaultsTest, ErrorsOfTheServerEndTheSessionWithWords) {
  const std::pair<std::string, std::string> cases[] = {{"OOM", "raise its maxmemory"},
                                                       {"READONLY", "give the master's address"},
                                                       {"MOVED", "part of a cluster"},
                                                       {"NOPERM", "ACL SETUSER"}};
  settle();
  for (const auto& [kind, words] : cases) {
    answer_with(kind, "HSET");
    set("t", "joe", {{"gpc0", kind.size()}});
    run_and_settle();
    EXPECT_FALSE(session_) << kind;
    EXPECT_THAT(last_end_, StartsWith("redis: " + kind + ": "));
    EXPECT_THAT(last_end_, HasSubstr(words));
    server_.refuses = [](const Words&) { return std::nullopt; };
    connect();
    settle();
    EXPECT_EQ(server_.field(kJoe, "gpc0"), std::to_string(kind.size())) << "once it may";
  }
  EXPECT_EQ(standing().refused, 0U);
}

TEST_F(MirrorFaultsTest, WhatSuchAnErrorWasTheAnswerToIsRepeated) {
  server_.refuses = [](const Words&) { return "-OOM command not allowed\r\n"; };
  settle();
  ASSERT_FALSE(session_);
  server_.refuses = [](const Words&) { return std::nullopt; };
  connect();
  settle();
  EXPECT_NE(server_.field(kTables, "t"), "-") << "the definition";

  declare("u", {{DataType::kGpc0}}, Duration(0));
  settle();
  const std::string key = "stickmesh:u:joe";
  server_.keys[key] = {false, {}, {}};
  set("u", "joe", {{"gpc0", 6}});
  run();
  flush();
  to_server();
  to_agent();
  server_.refuses = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "HSET") return "-OOM command not allowed\r\n";
    return std::nullopt;
  };
  settle();
  ASSERT_FALSE(session_);
  server_.refuses = [](const Words&) { return std::nullopt; };
  connect();
  settle();
  EXPECT_EQ(server_.field(key, "gpc0"), "6") << "the entry for which room was made";
}

TEST_F(MirrorFaultsTest, OtherErrorsAreCountedAndTheRestGoesOn) {
  settle();
  answer_with("ERR", "HSET");
  set("t", "joe");
  run_and_settle();
  ASSERT_TRUE(session_);
  EXPECT_EQ(standing().refused, 1U);
  EXPECT_EQ(standing().written, 0U);
  EXPECT_EQ(standing().behind, 0U) << "it is not tried for ever";
  ASSERT_EQ(errors_.recent().size(), 1U);
  EXPECT_EQ(errors_.recent()[0].detail, "ERR: said by the test");
  answer_with("ERR", "DEL");
  set("t", "amy");
  clear("t", "joe");
  run_and_settle();
  EXPECT_EQ(standing().written, 1U);
  EXPECT_EQ(standing().refused, 2U);
  EXPECT_EQ(standing().removed, 0U);
}

TEST_F(MirrorFaultsTest, AnAnswerThatNobodyAskedForIsRefused) {
  Reply reply;
  reply.type = Reply::Type::kStatus;
  const auto outcome = mirror_.replied(reply, now_);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().detail, "protocol: it answers what was not asked");
}

TEST_F(MirrorFaultsTest, ARefusedQuestionIsNoFlush) {
  fill("t", 3);
  run_and_settle();
  server_.refuses = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "HLEN" || words[0] == "HEXISTS") return "-ERR unknown command\r\n";
    return std::nullopt;
  };
  for (int round = 0; round < 4; ++round) run_and_settle(Duration(1000));
  EXPECT_EQ(standing().rewritten, 0U);
  EXPECT_EQ(server_.count("HSET"), 5U) << "three entries, the table and the agent";
}

TEST_F(MirrorFaultsTest, SomethingElseInPlaceOfTheListMakesRoomForIt) {
  server_.keys[kTables].hash = false;
  fill("t", 3);
  for (int round = 0; round < 3; ++round) run_and_settle(kCheckEvery);
  EXPECT_NE(server_.field(kTables, "t"), "-");
  EXPECT_EQ(standing().rewritten, 0U);
}

TEST_F(MirrorFaultsTest, SomethingElseInPlaceOfTheMarkerMakesRoomForIt) {
  fill("t", 3);
  run_and_settle();
  server_.keys[kAgents] = {.hash = false};
  for (int round = 0; round < 4; ++round) run_and_settle(kCheckEvery);
  EXPECT_EQ(server_.field(kAgents, "agent-1"), "1");
  EXPECT_EQ(standing().rewritten, 0U);
}

TEST_F(MirrorFaultsTest, AFlushIsSeenThoughAnotherAgentHasWrittenSince) {
  fill("t", 3);
  run_and_settle();
  server_.keys.erase("stickmesh:t:key-1");
  server_.keys[kAgents].fields = {{"agent-2", "1"}};
  for (int round = 0; round < 3; ++round) run_and_settle(kCheckEvery);
  EXPECT_EQ(standing().rewritten, 1U);
  EXPECT_EQ(mirrored("t", "1"), 3U);
}

TEST_F(MirrorFaultsTest, AFlushIsSeenThoughAnotherTableWasListedSince) {
  fill("t", 3);
  run_and_settle();
  server_.keys.clear();
  declare("u");
  set("u", "joe");
  run_and_settle();
  EXPECT_EQ(mirrored("t", "1"), 0U);
  for (int round = 0; round < 3; ++round) run_and_settle(kCheckEvery);
  EXPECT_EQ(standing().rewritten, 1U);
  EXPECT_EQ(mirrored("t", "1"), 3U);
}

// HAProxy need not be there yet when Redis is.
TEST(MirrorLateTest, ServersAreNotTakenForFlushedBeforeAnythingWasWritten) {
  class Late : public MirrorTest {
    void TestBody() override {}

   public:
    void play() {
      connect();
      for (int round = 0; round < 3; ++round) run_and_settle(kCheckEvery);
      declare("t");
      set("t", "joe");
      for (int round = 0; round < 3; ++round) run_and_settle(kCheckEvery);
      EXPECT_EQ(standing().rewritten, 0U);
      EXPECT_EQ(server_.count("HSET", kJoe), 1U);
      EXPECT_GT(server_.count("HLEN"), 0U);
    }
  };
  Late().play();
}

}  // namespace
}  // namespace stickmesh::redis
