#include <gtest/gtest.h>

#include <algorithm>

#include "instance.h"

namespace stickmesh::pipeline {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TableDefinition sessions() {
  TableDefinition definition = counter_table("/sessions");
  definition.types = {{DataType::kGpt0, 1, {}}};
  return definition;
}
const TableDefinition kTable = sessions();

class ReplicateTest : public ::testing::Test {
 protected:
  ReplicateTest() : agent_(Agent::default_setup(), {}, {Pattern("sessions*")}) {
    for (Instance* instance : {&lb1_, &lb2_, &lb3_}) {
      instance->session().select(1, kTable);
      instance->exchange(kStart);
    }
  }
  void settle(Duration after) {
    for (Instance* instance : {&lb1_, &lb2_, &lb3_, &lb1_, &lb2_, &lb3_}) instance->exchange(kStart + after);
  }
  static std::optional<std::uint64_t> last(const Instance& instance, const std::string& key) {
    const auto found = std::find_if(instance.received.rbegin(), instance.received.rend(),
                                    [&](const Received& had) { return had.key == key; });
    return found == instance.received.rend() ? std::nullopt : std::optional(found->cells[0]);
  }
  std::uint64_t held(const std::string& key) {
    const store::Table& table = *agent_.registry.find("sessions")->table;
    const store::EntryId entry = table.find(as_bytes(key));
    return entry == store::kNone ? 0 : table.number(table.first(entry), table.layout().columns()[0], 0);
  }
  Agent agent_;
  Instance lb1_{agent_.hub, "lb1", 10, kStart};
  Instance lb2_{agent_.hub, "lb2", 20, kStart};
  Instance lb3_{agent_.hub, "lb3", 30, kStart};
};

TEST_F(ReplicateTest, AChangeGoesToEveryOtherInstanceUnderTheSameName) {
  lb1_.push(1, kTable, "joe", 1, {7});
  settle(milliseconds(50));
  EXPECT_EQ(last(lb1_, "joe"), std::nullopt) << "it wrote that itself";
  EXPECT_EQ(last(lb2_, "joe"), 7U);
  EXPECT_EQ(last(lb3_, "joe"), 7U);
  EXPECT_EQ(lb2_.received.back().table, "/sessions");
}

TEST_F(ReplicateTest, TheLastChangeWins) {
  lb1_.push(1, kTable, "joe", 1, {7});
  settle(milliseconds(50));
  lb2_.push(1, kTable, "joe", 5, {9});
  settle(milliseconds(100));
  EXPECT_EQ(last(lb1_, "joe"), 9U);
  EXPECT_EQ(last(lb3_, "joe"), 9U);
  EXPECT_EQ(held("joe"), 9U);
}

TEST_F(ReplicateTest, OneThatEqualsWhatIsHeldGoesNowhere) {
  lb1_.push(1, kTable, "joe", 1, {7});
  settle(milliseconds(50));
  const std::size_t before = lb3_.received.size();
  lb2_.push(1, kTable, "joe", 1, {7});
  settle(milliseconds(100));
  EXPECT_EQ(lb3_.received.size(), before);
}

TEST_F(ReplicateTest, CrossingWritesEndEqualEverywhere) {
  // lb2 writes while lb1's change is on its way there: HAProxy would take that for the newer one.
  lb1_.push(1, kTable, "joe", 1, {7});
  lb1_.exchange(kStart + milliseconds(30));
  lb2_.push(1, kTable, "joe", 1, {9});
  settle(milliseconds(60));
  EXPECT_EQ(last(lb1_, "joe"), 9U);
  EXPECT_EQ(last(lb2_, "joe"), 9U)
      << "what it wrote goes back: the older one was sent there and not acknowledged";
  EXPECT_EQ(last(lb3_, "joe"), 9U);
}

TEST_F(ReplicateTest, OldCopiesInALessonUndoNothing) {
  lb1_.push(1, kTable, "joe", 1, {7});
  settle(milliseconds(50));
  lb2_.push(1, kTable, "joe", 4, {9});
  settle(milliseconds(100));
  lb1_.teach = [&] {
    lb1_.push(1, kTable, "joe", 1, {7}, seconds(300));             // sent before
    lb1_.push(1, kTable, "amy", 3 | kLearned, {5}, seconds(300));  // lacking here
  };
  agent_.peer("lb1").link->session().request_lesson(kStart + milliseconds(150));
  settle(milliseconds(200));
  EXPECT_EQ(held("joe"), 9U);
  EXPECT_EQ(held("amy"), 5U);
  EXPECT_EQ(last(lb3_, "amy"), 5U);
  lb1_.teach = [&] {
    lb1_.push(1, kTable, "amy", 6 | kLearned, {1}, seconds(300));  // learned there: someone else's word
    lb1_.push(1, kTable, "joe", 2, {8}, seconds(300));  // changed there, and newer than all it sent
  };
  agent_.peer("lb1").link->session().request_lesson(kStart + milliseconds(250));
  settle(milliseconds(300));
  EXPECT_EQ(held("amy"), 5U);
  EXPECT_EQ(held("joe"), 8U);
}

TEST_F(ReplicateTest, AChangeOfAGivenEntryThatOnlyALessonTellsIsTaken) {
  // HAProxy 3.0.0 and 3.2.0 (peers-protocol 6).
  lb1_.push(1, kTable, "joe", 1, {7});
  settle(milliseconds(50));
  const int asked = lb2_.lessons_asked;
  lb2_.teach = [&] { lb2_.push(1, kTable, "joe", 1 | kLearned, {9}, seconds(300)); };
  settle(seconds(11));
  EXPECT_EQ(lb2_.lessons_asked, asked + 1) << "it was given a key";
  settle(seconds(12));
  EXPECT_EQ(held("joe"), 9U);
  EXPECT_EQ(last(lb1_, "joe"), 9U);
  EXPECT_EQ(last(lb3_, "joe"), 9U);
  lb1_.push(1, kTable, "joe", 2, {8});
  settle(seconds(40));
  EXPECT_EQ(held("joe"), 8U);
  EXPECT_EQ(lb2_.lessons_asked, asked + 1) << "no key is new to it";
}

TEST_F(ReplicateTest, AnOldStateOfAnOwnEntryInALessonUndoesNothing) {
  // Not a gift's number: a full `nopurge` table shows an old state of its own though it acknowledged a newer
  // one.
  lb2_.push(1, kTable, "joe", 1, {7});
  settle(milliseconds(50));
  lb1_.push(1, kTable, "joe", 1, {8});
  settle(milliseconds(100));
  lb1_.push(1, kTable, "amy", 2, {1});
  settle(milliseconds(150));
  lb2_.teach = [&] { lb2_.push(1, kTable, "joe", 1, {7}, seconds(300)); };
  settle(seconds(11));
  settle(seconds(12));
  EXPECT_EQ(held("joe"), 8U);
}

TEST_F(ReplicateTest, ManyKeysThatAnInstanceShowsAsItsOwnAreNotMissedAsTotals) {
  for (std::uint32_t key = 1; key <= 60; ++key) lb1_.push(1, kTable, "key" + std::to_string(key), key, {1});
  settle(milliseconds(50));
  settle(seconds(11));
  settle(seconds(12));
  EXPECT_EQ(agent_.errors.count(Reason::kTableFull), 0U);
}

TEST_F(ReplicateTest, WhatALessonTellsOfAnEntryThatChangedSinceUndoesNothing) {
  lb1_.push(1, kTable, "joe", 1, {7});
  settle(milliseconds(50));
  lb2_.teach = [&] {
    lb1_.push(1, kTable, "joe", 2, {8});
    lb1_.exchange(kStart + seconds(11));
    lb2_.push(1, kTable, "joe", 1 | kLearned, {7}, seconds(300));
  };
  settle(seconds(11));
  settle(seconds(12));
  EXPECT_EQ(held("joe"), 8U);
  EXPECT_EQ(last(lb2_, "joe"), 8U);
}

TEST_F(ReplicateTest, ARepeatUndoesNothing) {
  lb1_.push(1, kTable, "joe", 1, {7});
  settle(milliseconds(50));
  lb2_.push(1, kTable, "joe", 1, {9});
  settle(milliseconds(100));
  lb1_.push(1, kTable, "joe", 1, {7});
  settle(milliseconds(150));
  EXPECT_EQ(held("joe"), 9U);
  EXPECT_EQ(last(lb1_, "joe"), 9U);
}

TEST_F(ReplicateTest, ARefreshAtOneInstanceKeepsTheEntryAliveAtTheOthers) {
  lb1_.push(1, kTable, "joe", 1, {7});
  settle(milliseconds(50));
  lb1_.push(1, kTable, "joe", 2, {7});
  settle(minutes(5));
  EXPECT_EQ(last(lb2_, "joe"), 7U);
  EXPECT_GT(lb2_.received.back().remaining, minutes(9));
}

TEST_F(ReplicateTest, ANewProcessGetsEverything) {
  lb1_.push(1, kTable, "joe", 1, {7});
  settle(milliseconds(50));
  lb1_.cut(kStart + milliseconds(60));
  Instance after(agent_.hub, "lb1", 11, kStart + milliseconds(100));
  after.session().select(1, kTable);
  after.exchange(kStart + milliseconds(150));
  EXPECT_EQ(last(after, "joe"), 7U) << "also what it wrote itself, in its former life";
}

TEST_F(ReplicateTest, NothingIsSentBeforeTheInstanceHasSaidWhatItHas) {
  lb1_.push(1, kTable, "joe", 1, {7});
  settle(milliseconds(50));
  Instance late(agent_.hub, "lb2", 21, kStart + milliseconds(100), "agent-1", /*complete=*/false);
  late.session().select(1, kTable);
  late.exchange(kStart + milliseconds(150));
  EXPECT_EQ(last(late, "joe"), std::nullopt);
  late.lesson_complete = true;
  late.exchange(kStart + milliseconds(1200));
  EXPECT_EQ(last(late, "joe"), 7U);
}

TEST_F(ReplicateTest, OpenConnectionsAreEachInstancesOwn) {
  TableDefinition definition = kTable;
  definition.name = "/sessions2";
  definition.types = {{DataType::kGpt0, 1, {}}, {DataType::kConnCur, 1, {}}};
  lb1_.session().select(2, definition);
  lb2_.session().select(2, definition);
  lb1_.push(2, definition, "joe", 1, {7, 3});
  settle(milliseconds(50));
  ASSERT_EQ(last(lb2_, "joe"), 7U);
  EXPECT_EQ(lb2_.received.back().cells.size(), 1U);
  const std::size_t before = lb2_.received.size();
  lb1_.push(2, definition, "joe", 2, {7, 4});
  settle(milliseconds(100));
  EXPECT_EQ(lb2_.received.size(), before);
}

}  // namespace
}  // namespace stickmesh::pipeline
