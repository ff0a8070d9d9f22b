#include <gtest/gtest.h>

#include <map>

#include "tests/unit/redis/mirror_fixture.h"

namespace stickmesh::redis {
namespace {

/// A mirror of one master, beside another that has the other slots.
class MirrorShareTest : public MirrorTest {
 protected:
  MirrorShareTest() {
    declare("t");
    everything_.set();
  }
  static SlotSet only(std::string_view key) {
    SlotSet slots;
    slots.set(slot_of(key));
    return slots;
  }
  /// The server has |key| no more, and says where it is.
  void redirect(const std::string& key, const std::string& error) {
    server_.refuses = [key, error](const FakeRedis::Words& words) -> std::optional<std::string> {
      if (words.size() < 2 || words[1] != key) return std::nullopt;
      return fmt::format("-{}\r\n", error);
    };
  }
  /// What another master has said of these is that their slot is moving here.
  void adopt(const std::string& name, int from, int to) {
    for (int number = from; number < to; ++number) {
      const std::string key = "key-" + std::to_string(number);
      mirror_.adopt({&table(name), entry(name, key), false, true, {}, "stickmesh:" + name + ":" + key});
    }
  }
  /// The end of a mirror that wrote to this same server, as the one that has all slots.
  SlotSet everything_;
  Mirror other_{hub_, {"stickmesh", false, false}};
};

TEST_F(MirrorShareTest, WritesWhatIsInItsSlots) {
  mirror_.assign(only(kJoe));
  connect();
  set("t", "joe");
  set("t", "amy");
  run_and_settle();
  EXPECT_EQ(server_.count("HSET", kJoe), 1U);
  EXPECT_EQ(server_.count("HSET", "stickmesh:t:amy"), 0U);
  EXPECT_EQ(server_.count("HSET", "stickmesh:tables"), 0U) << "another's slot";
  settle();
  EXPECT_EQ(standing().behind, 0U);
}

TEST_F(MirrorShareTest, ItsMarkerIsInOneOfItsSlots) {
  mirror_.assign(only("7"));
  connect();
  run_and_settle();
  EXPECT_EQ(server_.field("stickmesh:agents{7}", "agent-1"), "1");
  mirror_.assign(only("stickmesh:agents{8}"));
  run_and_settle();
  EXPECT_EQ(server_.field("stickmesh:agents{8}", "agent-1"), "1")
      << "the other slot has gone, and it with it";
  EXPECT_EQ(standing().rewritten, 0U);
}

TEST_F(MirrorShareTest, APrefixThatIsAllInAnotherSlotHasNoMarker) {
  Mirror mirror(hub_, {"{a}", false, false});
  mirror.assign(only("b"));
  EXPECT_FALSE(mirror.mine("{a}:t:joe"));
}

TEST_F(MirrorShareTest, WithoutSlotsItWritesNothing) {
  mirror_.assign({});
  connect();
  set("t", "joe");
  for (int round = 0; round < 10; ++round) run_and_settle(Duration(500));
  EXPECT_TRUE(server_.commands.empty());
}

TEST_F(MirrorShareTest, WhatHasMovedWaitsForTheNewShares) {
  mirror_.assign(everything_);
  connect();
  redirect(kJoe, "MOVED 7 192.0.2.9:6379");
  set("t", "joe");
  set("t", "amy");
  run_and_settle();
  EXPECT_TRUE(mirror_.misplaced());
  EXPECT_NE(standing().behind, 0U);
  const std::size_t before = server_.commands.size();
  run_and_settle();
  EXPECT_EQ(server_.commands.size(), before) << "nothing more is asked of it until then";
  EXPECT_TRUE(session_) << last_end_;

  SlotSet rest = everything_;
  rest.reset(slot_of(kJoe));
  mirror_.assign(rest);
  server_.refuses = [](const FakeRedis::Words&) { return std::nullopt; };
  run_and_settle();
  EXPECT_FALSE(mirror_.misplaced());
  EXPECT_EQ(server_.count("HSET", kJoe), 1U) << "it is another's";
  EXPECT_EQ(server_.field("stickmesh:t:amy", "gpc0"), "1");
  EXPECT_EQ(standing().behind, 0U);
}

TEST_F(MirrorShareTest, ASlotIsTakenOverWhereTheOtherHadGot) {
  SlotSet rest = everything_;
  rest.reset(slot_of(kJoe));
  mirror_.assign(rest);
  other_.assign(only(kJoe));
  connect();
  other_.follow(now_);
  set("t", "amy");
  set("t", "joe");
  run_and_settle();
  settle();
  EXPECT_EQ(standing().behind, 0U);
  EXPECT_EQ(server_.count("HSET", kJoe), 0U);
  // The other one had confirmed nothing.
  mirror_.take_over(&other_);
  mirror_.assign(everything_);
  run_and_settle();
  EXPECT_EQ(server_.count("HSET", kJoe), 1U);
  EXPECT_EQ(server_.count("HSET", "stickmesh:t:amy"), 2U) << "once more, in the newest state";
  EXPECT_EQ(standing().behind, 0U);
  // One that was as far has nothing to hand over.
  const std::size_t before = server_.count("HSET");
  Mirror& same = mirror_;
  mirror_.take_over(&same);
  run_and_settle();
  EXPECT_EQ(server_.count("HSET"), before);
  mirror_.take_over(nullptr);
  run_and_settle();
  EXPECT_EQ(server_.count("HSET", kJoe), 2U) << "nothing is known of what it holds";
}

TEST_F(MirrorShareTest, RepliesToWhatWasSentBeforeConfirmNothingThen) {
  mirror_.assign(everything_);
  connect();
  set("t", "joe");
  run();
  flush();
  mirror_.take_over(nullptr);
  to_server();
  to_agent();
  EXPECT_NE(standing().behind, 0U);
  run_and_settle();
  EXPECT_EQ(standing().behind, 0U);
}

TEST_F(MirrorShareTest, OneThatIsAskedForElsewhereGoesThereOnce) {
  mirror_.assign(everything_);
  connect();
  redirect(kJoe, "ASK 7 192.0.2.9:6379");
  set("t", "joe", {{"gpc0", 7}});
  set("t", "amy");
  run_and_settle();
  EXPECT_FALSE(mirror_.misplaced());
  const Mirror::Stray* stray = mirror_.stray();
  ASSERT_NE(stray, nullptr);
  EXPECT_EQ(stray->key, kJoe);
  EXPECT_TRUE(stray->once);
  EXPECT_EQ(address_text(stray->to.host, stray->to.port), "192.0.2.9:6379");
  other_.adopt(*stray);
  EXPECT_TRUE(other_.has_adopted());
  mirror_.drop_stray();
  EXPECT_EQ(mirror_.stray(), nullptr) << "HSET and PEXPIRE are one entry";
  EXPECT_EQ(standing().behind, 0U);
}

TEST_F(MirrorShareTest, WhatItAdoptsIsWrittenWithAsking) {
  mirror_.assign({});
  connect();
  set("t", "joe", {{"gpc0", 7}});
  run_and_settle();
  mirror_.adopt({&table("t"), entry("t", "joe"), false, true, {}, kJoe});
  server_.commands.clear();
  run_and_settle();
  ASSERT_EQ(server_.commands.size(), 4U);
  EXPECT_EQ(server_.commands[0], FakeRedis::Words{"ASKING"});
  EXPECT_EQ(server_.commands[1][0], "HSET");
  EXPECT_EQ(server_.commands[2], FakeRedis::Words{"ASKING"});
  EXPECT_EQ(server_.commands[3][0], "PEXPIRE");
  EXPECT_EQ(server_.field(kJoe, "gpc0"), "7");
}

TEST_F(MirrorShareTest, WhatItAdoptedIsKeptOverACut) {
  mirror_.assign(only(kJoe));
  connect();
  set("t", "joe", {{"gpc0", 7}});
  run_and_settle();
  server_.keys.clear();
  mirror_.adopt({&table("t"), entry("t", "joe"), false, true, {}, kJoe});
  flush();
  cut();
  connect();
  run_and_settle();
  EXPECT_EQ(server_.field(kJoe, "gpc0"), "7");
  EXPECT_FALSE(mirror_.has_adopted());
}

TEST_F(MirrorShareTest, WhatItAdoptedAndDoesNotOwnGoesToTheOwner) {
  mirror_.assign({});
  connect();
  set("t", "joe");
  run_and_settle();
  mirror_.adopt({&table("t"), entry("t", "joe"), false, true, {}, kJoe});
  redirect(kJoe, "MOVED 7 192.0.2.9:6379");
  run_and_settle();
  const Mirror::Stray* stray = mirror_.stray();
  ASSERT_NE(stray, nullptr) << "its slot did not come after all";
  EXPECT_FALSE(stray->once);
  mirror_.drop_stray();
  EXPECT_EQ(mirror_.stray(), nullptr);
  // The same of one that goes while it has some.
  mirror_.assign({});
  mirror_.adopt({&table("t"), entry("t", "joe"), false, false, {}, kJoe});
  mirror_.leave();
  EXPECT_FALSE(mirror_.has_adopted());
  EXPECT_NE(mirror_.stray(), nullptr);
}

TEST_F(MirrorShareTest, EachIsAdoptedOnceHoweverOftenItChanges) {
  mirror_.assign(everything_);
  connect();
  fill("t", 3000);
  run_and_settle();
  server_.keys.clear();
  // Far more than there are entries, while the server is away.
  for (int round = 0; round < 5; ++round) adopt("t", 0, 3000);
  server_.commands.clear();
  settle();
  EXPECT_EQ(mirrored("t", "1"), 3000U);
  EXPECT_EQ(server_.count("HSET"), 3000U);
  EXPECT_FALSE(mirror_.has_adopted());
}

TEST_F(MirrorShareTest, WhatIsAdoptedHasNoMoreCommandsInFlightThanTheRest) {
  mirror_.assign(everything_);
  connect();
  settle();
  most_at_once_ = 0;
  fill("t", 10'000);
  run();
  adopt("t", 0, 10'000);
  flush();
  EXPECT_GE(session_->in_flight(), 2048U);
  EXPECT_LE(session_->in_flight(), 2048U + 4);
  EXPECT_LE(most_at_once_, 256U * 4 + 4) << "it would hold up the loop";
  settle();
  EXPECT_EQ(mirrored("t", "1"), 10'000U);
  EXPECT_EQ(standing().behind, 0U);
}

// Neither those that are adopted without end, nor the mirror's own.
TEST_F(MirrorShareTest, WhatIsAdoptedHoldsUpNothingElse) {
  SlotSet rest = everything_;
  rest.reset(slot_of(kJoe));
  mirror_.assign(rest);
  connect();
  settle();
  fill("t", 5000);
  set("t", "joe", {{"gpc0", 9}});
  run();
  adopt("t", 0, 5000);
  mirror_.adopt({&table("t"), entry("t", "joe"), false, true, {}, kJoe});
  set("t", "amy", {{"gpc0", 8}});
  for (int round = 0; round < 40 && server_.field("stickmesh:t:amy", "gpc0") != "8"; ++round) {
    adopt("t", 0, 5000);
    run_and_settle();
  }
  EXPECT_EQ(server_.field("stickmesh:t:amy", "gpc0"), "8");
  EXPECT_EQ(server_.field(kJoe, "gpc0"), "9");
}

TEST_F(MirrorShareTest, AskingIsNotForgottenOverACut) {
  mirror_.assign({});
  connect();
  set("t", "joe", {{"gpc0", 7}});
  run_and_settle();
  mirror_.adopt({&table("t"), entry("t", "joe"), false, true, {}, kJoe});
  flush();
  EXPECT_TRUE(mirror_.has_adopted()) << "it is on its way";
  cut();
  EXPECT_TRUE(mirror_.has_adopted());
  server_.commands.clear();
  connect();
  settle();
  EXPECT_EQ(mirror_.stray(), nullptr);
  EXPECT_EQ(server_.count("ASKING"), 2U);
  EXPECT_EQ(server_.count("DEL"), 0U) << "nothing is in its place";
  EXPECT_EQ(server_.field(kJoe, "gpc0"), "7");
}

TEST_F(MirrorShareTest, WhatIsInThePlaceOfOneThatIsAskedForMakesRoom) {
  mirror_.assign({});
  connect();
  set("t", "joe", {{"gpc0", 7}});
  run_and_settle();
  server_.keys[kJoe] = {false, {}, {}};
  mirror_.adopt({&table("t"), entry("t", "joe"), false, true, {}, kJoe});
  run_and_settle();
  run_and_settle();
  EXPECT_EQ(mirror_.stray(), nullptr);
  EXPECT_EQ(server_.field(kJoe, "gpc0"), "7");
}

TEST_F(MirrorShareTest, AStrayHoldsUpNothing) {
  mirror_.assign(everything_);
  connect();
  redirect(kJoe, "ASK 7 192.0.2.9:6379");
  set("t", "joe");
  run_and_settle();
  ASSERT_NE(mirror_.stray(), nullptr);
  set("t", "amy");
  run_and_settle();
  EXPECT_EQ(server_.count("HSET", "stickmesh:t:amy"), 1U);
}

}  // namespace
}  // namespace stickmesh::redis
