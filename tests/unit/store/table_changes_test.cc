#include <gtest/gtest.h>

#include "agent/store/table.h"
#include "tests/unit/store/table_fixture.h"

namespace stickmesh::store {
namespace {

using std::chrono::seconds;
using Keys = std::vector<std::string>;

class TableChangesTest : public testing::Test {
 protected:
  void publish(std::string_view key) {
    const EntryId entry = table_.find(as_bytes(key));
    table_.set_published(entry, 1, table_.end(entry));
  }

  World world_;
  Table table_{"http",           definition_of({{DataType::kConnCur}, {DataType::kGpc0}}),
               default_merges(), 0,
               world_.shared,    at(0)};
  Sender lb1_{table_, world_.origin("lb1")};
  Sender lb2_{table_, world_.origin("lb2")};
};

TEST_F(TableChangesTest, NothingIsRememberedUntilSomeonePublishes) {
  lb1_.live("a", {0, 1}, at(0));
  EXPECT_FALSE(table_.has_changed());
  table_.track_changes(true);
  EXPECT_EQ(take_changed(table_), Keys{"a"});  // what is there already must be published too
  table_.track_changes(false);
  lb1_.live("a", {0, 2}, at(0));
  EXPECT_FALSE(table_.has_changed());
}

TEST_F(TableChangesTest, AnEntryIsHandedOutOnceHoweverOftenItChanged) {
  table_.track_changes(true);
  for (std::uint64_t count = 1; count < 10; ++count) lb1_.live("a", {0, count}, at(0));
  lb2_.live("b", {0, 1}, at(0));
  lb2_.live("a", {0, 1}, at(0));
  EXPECT_EQ(take_changed(table_), (Keys{"a", "b"}));
  EXPECT_FALSE(table_.has_changed());
  lb1_.live("b", {0, 1}, at(0));
  EXPECT_EQ(take_changed(table_), Keys{"b"});
}

TEST_F(TableChangesTest, AnEqualUpdateChangesNothingUntilTheEndHasMovedByATenth) {
  table_.track_changes(true);
  lb1_.live("a", {0, 1}, at(0));
  take_changed(table_);
  publish("a");
  lb1_.live("a", {0, 1}, at(1000));
  EXPECT_FALSE(table_.has_changed());
  lb1_.live("a", {0, 1}, at(1001));
  EXPECT_EQ(take_changed(table_), Keys{"a"});
}

TEST_F(TableChangesTest, AnEndThatMovesNearerIsToldToo) {
  table_.track_changes(true);
  lb1_.live("a", {0, 1}, at(0));
  take_changed(table_);
  publish("a");
  lb1_.lesson("a", {0, 1}, seconds(8), at(0));
  EXPECT_EQ(take_changed(table_), Keys{"a"});
}

TEST_F(TableChangesTest, OnlyTheLongestLivingContributionMovesTheEnd) {
  table_.track_changes(true);
  lb1_.live("a", {0, 1}, at(0));
  lb2_.live("a", {0, 1}, at(5000));
  take_changed(table_);
  publish("a");
  lb1_.live("a", {0, 1}, at(5100));
  EXPECT_FALSE(table_.has_changed());
}

TEST_F(TableChangesTest, AContributionThatLeavesChangesTheRestOfItsEntry) {
  table_.track_changes(true);
  lb1_.live("a", {0, 1}, at(0));
  lb2_.live("a", {0, 1}, at(5000));
  take_changed(table_);
  table_.expire(at(11000), kEverything);
  EXPECT_EQ(take_changed(table_), Keys{"a"});
  EXPECT_EQ(sum_of(table_, "a", DataType::kGpc0), 1U);
}

TEST_F(TableChangesTest, AnEntryThatHasGoneIsNotHandedOut) {
  table_.track_changes(true);
  lb1_.live("a", {0, 1}, at(0));
  lb1_.live("b", {0, 1}, at(9000));
  table_.expire(at(11000), kEverything);
  EXPECT_EQ(take_changed(table_), Keys{"b"});
}

TEST_F(TableChangesTest, AnIdUsedAgainIsHandedOutForItsNewKeyOnce) {
  table_.track_changes(true);
  lb1_.live("a", {0, 1}, at(0));
  const EntryId before = table_.find(as_bytes("a"));
  table_.remove_entry(before);
  lb1_.live("b", {0, 1}, at(0));
  ASSERT_EQ(table_.find(as_bytes("b")), before);
  EXPECT_EQ(take_changed(table_), Keys{"b"});
}

TEST_F(TableChangesTest, AStaleUpdateChangesNothing) {
  table_.track_changes(true);
  lb1_.version.generation = 5;
  lb1_.live("a", {0, 1}, at(0));
  take_changed(table_);
  lb1_.version.generation = 4;
  lb1_.live("a", {0, 9}, at(0));
  EXPECT_FALSE(table_.has_changed());
}

TEST_F(TableChangesTest, ThePresenceOfAnOriginChangesTheEntriesWhereItHasConnections) {
  lb1_.live("busy", {3, 1}, at(0));
  lb1_.live("idle", {0, 1}, at(0));
  lb2_.live("others", {5, 1}, at(0));
  lb2_.live("busy", {0, 1}, at(0));
  table_.track_changes(true);
  take_changed(table_);
  table_.mark_present_sums(lb1_.origin());
  EXPECT_EQ(take_changed(table_), Keys{"busy"});
}

TEST_F(TableChangesTest, WhatThePublisherRemembersStaysWithTheEntryAndGoesWithIt) {
  lb1_.live("a", {0, 1}, at(0));
  const EntryId entry = table_.find(as_bytes("a"));
  EXPECT_EQ(table_.published_sequence(entry), 0U);
  table_.set_published(entry, 77, at(1234));
  lb2_.live("a", {0, 1}, at(1));
  EXPECT_EQ(table_.published_sequence(entry), 77U);
  EXPECT_EQ(table_.published_end(entry), at(1234));
  table_.remove_entry(entry);
  lb1_.live("b", {0, 1}, at(0));
  ASSERT_EQ(table_.find(as_bytes("b")), entry);
  EXPECT_EQ(table_.published_sequence(entry), 0U);
}

TEST_F(TableChangesTest, WhoeverKeepsSomethingByIdHearsOfEachEntryThatGoes) {
  Keys gone;
  table_.on_removed([&](EntryId entry) { gone.emplace_back(as_text(table_.key(entry))); });
  lb1_.live("a", {0, 1}, at(0));
  lb2_.live("a", {0, 1}, at(5000));
  lb1_.live("b", {0, 1}, at(0));
  lb1_.live("c", {0, 1}, at(9000));
  table_.expire(at(11000), kEverything);
  EXPECT_EQ(gone, Keys{"b"});
  table_.remove_entry(table_.find(as_bytes("a")));
  table_.purge_oldest();
  EXPECT_EQ(gone, (Keys{"b", "a", "c"}));
}

}  // namespace
}  // namespace stickmesh::store
