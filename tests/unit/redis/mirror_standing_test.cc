#include <gmock/gmock.h>

#include "tests/unit/redis/mirror_fixture.h"

namespace stickmesh::redis {
namespace {

class StandingTest : public MirrorTest {
 protected:
  StandingTest() { declare("t"); }
};

TEST_F(StandingTest, NothingIsBehindAtFirst) {
  flush();
  EXPECT_EQ(standing().behind, 0U);
  EXPECT_EQ(standing().behind_for, Duration(0));
  EXPECT_EQ(standing().written, 0U);
  EXPECT_EQ(standing().per_second, 0U);
}

TEST_F(StandingTest, WhatRedisHasNotConfirmedIsBehind) {
  fill("t", 10);
  run();
  flush();
  EXPECT_EQ(standing().behind, 10U);
  connect();
  settle();
  EXPECT_EQ(standing().behind, 0U);
  fill("t", 4, 2);
  run();
  flush();
  EXPECT_EQ(standing().behind, 4U);
  to_server();
  EXPECT_EQ(standing().behind, 4U) << "sent is not confirmed";
  to_agent(5);
  EXPECT_EQ(standing().behind, 2U);
  EXPECT_EQ(standing().written, 13U);
}

TEST_F(StandingTest, TheOldestChangeSaysForHowLong) {
  fill("t", 3);
  run();
  flush();
  EXPECT_EQ(standing().behind_for, Duration(0));
  for (int round = 0; round < 10; ++round) {
    set("t", "joe", {{"gpc0", static_cast<std::uint64_t>(round)}});
    run(Duration(500));
    flush();
  }
  EXPECT_EQ(standing().behind_for, Duration(5000)) << "newer ones do not make it younger";
  connect();
  settle();
  EXPECT_EQ(standing().behind_for, Duration(0));
  run(Duration(5000));
  flush();
  EXPECT_EQ(standing().behind_for, Duration(0));
}

TEST_F(StandingTest, ADayWithoutChangesIsNoDelayOfTheNext) {
  connect();
  set("t", "joe");
  run_and_settle();
  now_ += std::chrono::minutes(5);
  set("t", "joe", {{"gpc0", 2}});
  run();
  flush();
  now_ += Duration(30);
  EXPECT_EQ(standing().behind_for, Duration(30));
}

// What is written anew waits since it is, not since it was first written.
TEST_F(StandingTest, WritingAnewBeginsWhenItDoes) {
  connect();
  fill("t", 3);
  run_and_settle();
  now_ += std::chrono::minutes(5);
  cut();
  server_.run = "run-2";
  server_.keys.clear();
  connect();
  EXPECT_EQ(standing().behind, 3U);
  flush();
  now_ += Duration(70);
  EXPECT_EQ(standing().behind_for, Duration(70));
  settle();
  EXPECT_EQ(standing().behind_for, Duration(0));
}

// Redis was away for longer than they lived: there is nothing to write, and nothing to wait for.
TEST_F(StandingTest, WhatHasGoneIsNotBehind) {
  declare("short", {{DataType::kGpc0}}, Duration(1000));
  set("short", "joe");
  run();
  flush();
  EXPECT_EQ(standing().behind, 1U);
  for (int round = 0; round < 100; ++round) run(Duration(100));
  ASSERT_EQ(table("short").table->entries(), 0U);
  connect();
  for (int round = 0; round < 2; ++round) settle();
  EXPECT_EQ(standing().behind, 0U);
  EXPECT_EQ(standing().behind_for, Duration(0));
}

TEST_F(StandingTest, WhatHasGoneBehindOthersIsNotConfirmedBeforeThem) {
  connect();
  settle();
  set("t", "joe");
  run();
  set("t", "amy");
  run();
  table("t").table->remove_entry(entry("t", "amy"));
  flush();
  EXPECT_EQ(standing().behind, 2U) << "of the one that is in flight nobody knows";
  cut();
  connect();
  for (int round = 0; round < 2; ++round) settle();
  EXPECT_EQ(server_.field("stickmesh:t:joe", "gpc0"), "1");
  EXPECT_EQ(standing().behind, 0U);
}

TEST_F(StandingTest, AllTablesCount) {
  declare("u");
  set("t", "joe");
  run();
  flush();
  now_ += Duration(1000);
  fill("u", 5);
  run();
  flush();
  EXPECT_EQ(standing().behind, 6U);
  EXPECT_EQ(standing().behind_for, Duration(1020)) << "that of the table that waits longest";
}

TEST_F(StandingTest, EntriesWrittenPerSecond) {
  connect();
  for (std::uint64_t round = 1; round <= 200; ++round) {
    fill("t", 10, round);
    run_and_settle(Duration(100));
  }
  EXPECT_EQ(standing().written, 2000U);
  EXPECT_NEAR(static_cast<double>(standing().per_second), 100, 15);
  run(Duration(60'000));
  EXPECT_EQ(standing().per_second, 0U);
}

}  // namespace
}  // namespace stickmesh::redis
