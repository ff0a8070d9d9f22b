#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <set>
#include <string>

#include "agent/store/table.h"
#include "tests/unit/store/table_fixture.h"

namespace stickmesh::store {
namespace {

using std::chrono::seconds;

std::string name(int key) {
  return "key-" + std::to_string(key);
}

class TableRoomTest : public testing::Test {
 protected:
  // A world of |memory| bytes and a table in it.
  Table& make(std::size_t max_entries, Duration expire = seconds(10), std::size_t memory = kAmple) {
    drop();
    world_ = std::make_unique<World>(memory);
    table_ = std::make_unique<Table>("http", definition_of({{DataType::kGpc0}}, expire), default_merges(),
                                     max_entries, world_->shared, at(0));
    table_->on_removed([this](EntryId entry) { removed_.emplace_back(as_text(table_->key(entry))); });
    return *table_;
  }
  void TearDown() override { drop(); }
  void drop() {
    if (table_) table_->on_removed({});
    table_.reset();
  }

  static constexpr std::size_t kAmple = std::size_t{1} << 30U;

  std::unique_ptr<World> world_;
  std::unique_ptr<Table> table_;
  std::vector<std::string> removed_;
};

TEST_F(TableRoomTest, AFullTablePurgesTheEntryThatLivedLongestWithoutAnUpdate) {
  Table& table = make(100);
  Sender lb1(table, world_->origin("lb1"));
  for (int key = 0; key < 100; ++key) lb1.live(name(key), {1}, at(key * 10));
  lb1.live(name(0), {2}, at(2000));  // used again: no longer the oldest
  lb1.live(name(100), {1}, at(3000));
  lb1.live(name(101), {1}, at(3000));
  EXPECT_EQ(removed_, (std::vector{name(1), name(2)}));
  EXPECT_EQ(table.entries(), 100U);
  EXPECT_EQ(table.counters().purged, 2U);
  EXPECT_NE(table.find(as_bytes(name(0))), kNone);
}

TEST_F(TableRoomTest, AKnownKeyPurgesNothing) {
  Table& table = make(10);
  Sender lb1(table, world_->origin("lb1"));
  Sender lb2(table, world_->origin("lb2"));
  for (int key = 0; key < 10; ++key) lb1.live(name(key), {1}, at(0));
  for (int key = 0; key < 10; ++key) lb2.live(name(key), {1}, at(0));
  EXPECT_TRUE(removed_.empty());
  EXPECT_EQ(table.contributions(), 20U);
}

TEST_F(TableRoomTest, AnEntryIsAsYoungAsItsYoungestContribution) {
  Table& table = make(2);
  Sender lb1(table, world_->origin("lb1"));
  Sender lb2(table, world_->origin("lb2"));
  lb1.live("a", {1}, at(0));
  lb1.live("b", {1}, at(1000));
  lb2.live("a", {1}, at(2000));
  lb1.live("c", {1}, at(3000));
  EXPECT_EQ(removed_, std::vector<std::string>{"b"});
}

// Clients that are always there, learned together at the start, against a flood of keys that are used once.
TEST_F(TableRoomTest, AFloodOfNewKeysDoesNotPushOutTheOnesInUse) {
  Table& table = make(2000);
  Sender lb1(table, world_->origin("lb1"));
  for (int key = 0; key < 200; ++key) lb1.live(name(key), {1}, at(0));
  std::int64_t now = 0;
  for (int key = 200; key < 20000; ++key) {
    if (key % 100 == 0) {
      now += 10;
      for (int used = 0; used < 200; ++used) lb1.live(name(used), {static_cast<std::uint64_t>(key)}, at(now));
    }
    lb1.live(name(key), {1}, at(now));
  }
  EXPECT_EQ(table.entries(), 2000U);
  EXPECT_EQ(removed_.size(), 18000U);
  for (int used = 0; used < 200; ++used)
    EXPECT_EQ(std::count(removed_.begin(), removed_.end(), name(used)), 0);
}

TEST_F(TableRoomTest, TheOldestIsFoundInATableWithoutExpire) {
  Table& table = make(100, Duration(0));
  Sender lb1(table, world_->origin("lb1"));
  for (int key = 0; key < 100; ++key) {
    lb1.live(name(key), {1}, at(key * 5000));
    table.expire(at(key * 5000), kEverything);
  }
  lb1.live(name(100), {1}, at(600'000));
  EXPECT_EQ(removed_, std::vector{name(0)});
}

TEST_F(TableRoomTest, PurgingAnEmptyTableSaysSo) {
  Table& table = make(10);
  EXPECT_FALSE(table.purge_oldest());
  EXPECT_EQ(table.counters().purged, 0U);
}

TEST_F(TableRoomTest, MemoryNeverPassesTheBudgetAndNewKeysReplaceOldOnes) {
  Table& table = make(0, seconds(10), std::size_t{8} << 20U);
  World& world = *world_;
  Sender lb1(table, world.origin("lb1"));
  std::size_t refused = 0;
  for (int key = 0; key < 200000; ++key) {
    refused += lb1.live(name(key), {1}, at(key / 100)) == Applied::kNoMemory ? 1U : 0U;
    ASSERT_LE(world.budget.used(), world.budget.limit());
  }
  EXPECT_EQ(table.memory(), world.budget.used());
  EXPECT_GT(table.entries(), 20000U);
  EXPECT_EQ(table.counters().refused, refused);
  EXPECT_EQ(table.counters().purged + table.entries() + refused, 200000U);
  // The newest are there, but for those few whose place in the index could not grow.
  std::size_t found = 0;
  for (int key = 190000; key < 200000; ++key) found += table.find(as_bytes(name(key))) != kNone ? 1U : 0U;
  EXPECT_GT(found + refused, 9900U);
  EXPECT_LT(refused, 2000U);
}

// A key that cannot be had in spite of a purge costs no more entries than that one.
TEST_F(TableRoomTest, ARefusedKeyCostsOneEntryAtMost) {
  std::uint64_t refused = 0;
  for (std::size_t limit = std::size_t{3} << 20U; limit < std::size_t{9} << 19U; limit += 30000) {
    Table& table = make(0, seconds(10), limit);
    Sender lb1(table, world_->origin("lb1"));
    for (int key = 0; key < 40000; ++key) {
      const std::uint64_t purged = table.counters().purged;
      lb1.live(name(key), {1}, at(key / 100));
      ASSERT_LE(table.counters().purged, purged + 1);
    }
    refused += table.counters().refused;
  }
  EXPECT_GT(refused, 0U) << "the case did not occur";
}

TEST_F(TableRoomTest, ScarceMemoryAsksForRoomBeforeATableGrows) {
  Table& table = make(0, seconds(10), std::size_t{8} << 20U);
  World& world = *world_;
  std::size_t asked = 0;
  world.shared.make_room = [&] {
    EXPECT_TRUE(world.budget.scarce());
    ++asked;
    table.purge_oldest();
  };
  Sender lb1(table, world.origin("lb1"));
  int key = 0;
  while (asked == 0) {
    lb1.live(name(key), {1}, at(key / 100));
    ++key;
  }
  const std::size_t full = table.entries();
  for (int more = 0; more < 100000; ++more, ++key) {
    ASSERT_NE(lb1.live(name(key), {1}, at(key / 100)), Applied::kNoMemory);
  }
  EXPECT_LE(table.entries(), full + 10000);
  EXPECT_EQ(table.counters().refused, 0U);
  EXPECT_LE(world.budget.used(), world.budget.limit());
}

// Rows stay with their table: once memory is used up, purging another's entries would make no room.
TEST_F(TableRoomTest, WhenNothingCanGrowATablePurgesItsOwn) {
  Table& table = make(0, seconds(10), std::size_t{8} << 20U);
  World& world = *world_;
  world.shared.make_room = [&] { table.purge_oldest(); };
  Sender lb1(table, world.origin("lb1"));
  for (int key = 0; !world.budget.scarce(); ++key) lb1.live(name(key), {1}, at(0));
  Table other("other", definition_of({{DataType::kGpc0}}), default_merges(), 0, world.shared, at(0));
  Sender lb2(other, world.origin("lb2"));
  const std::size_t before = table.entries();
  for (int key = 0; key < 50000; ++key) lb2.live(name(key), {1}, at(key / 100));
  EXPECT_GT(table.entries() + 100, before);
  EXPECT_GT(other.entries(), 0U);
}

// Rows that expired leave their memory with the table: new keys fill them without driving others out.
TEST_F(TableRoomTest, ScarceMemoryDrivesNothingOutWhileRowsAreFree) {
  Table& table = make(0, seconds(10), std::size_t{8} << 20U);
  World& world = *world_;
  world.shared.make_room = [&] { table.purge_oldest(); };
  Sender lb1(table, world.origin("lb1"));
  int key = 0;
  for (; !world.budget.scarce(); ++key) lb1.live(name(key), {1}, at(0));
  table.expire(at(20'000), kEverything);
  ASSERT_EQ(table.entries(), 0U);
  ASSERT_TRUE(world.budget.scarce());
  const std::uint64_t purged = table.counters().purged;
  for (int fresh = 0; fresh < key / 2; ++fresh) lb1.live(name(fresh), {1}, at(20'000));
  EXPECT_EQ(table.counters().purged, purged);
  EXPECT_EQ(table.entries(), static_cast<std::size_t>(key / 2));
}

TEST_F(TableRoomTest, TheBudgetIsOneForAllTables) {
  Table& table = make(0, seconds(10), std::size_t{4} << 20U);
  World& world = *world_;
  Table other("other", definition_of({{DataType::kGpc0}}), default_merges(), 0, world.shared, at(0));
  Sender lb1(table, world.origin("lb1"));
  Sender lb2(other, world.origin("lb1"));
  for (int key = 0; key < 50000; ++key) {
    lb1.live(name(key), {1}, at(key));
    lb2.live(name(key), {1}, at(key));
    ASSERT_LE(world.budget.used(), world.budget.limit());
  }
  EXPECT_EQ(table.memory() + other.memory(), world.budget.used());
}

// The old and the new rows of a change of layout pass the limit for a moment; nothing of it may be forgotten.
TEST_F(TableRoomTest, AfterAChangeOfLayoutTheBudgetStillKnowsWhatIsUsed) {
  Table& table = make(0, seconds(10), std::size_t{8} << 20U);
  World& world = *world_;
  Sender lb1(table, world.origin("lb1"));
  int key = 0;
  for (; world.budget.used() * 4 < world.budget.limit() * 3; ++key) lb1.live(name(key), {1}, at(0));
  table.extend(definition_of({{DataType::kBytesInCnt}}));
  EXPECT_EQ(table.memory(), world.budget.used());
  for (int more = 0; more < 100000; ++more, ++key) lb1.live(name(key), {1}, at(key / 100));
  EXPECT_EQ(table.memory(), world.budget.used());
}

TEST_F(TableRoomTest, ATableIsNotExtendedByMoreThanThereIsRoomFor) {
  Table& table = make(0, seconds(10), std::size_t{8} << 20U);
  World& world = *world_;
  Sender lb1(table, world.origin("lb1"));
  int key = 0;
  for (; world.budget.used() * 4 < world.budget.limit() * 3; ++key) lb1.live(name(key), {1}, at(0));
  const std::uint32_t number = table.layout_number();
  const std::size_t used = world.budget.used();
  EXPECT_FALSE(table.extend(definition_of({{DataType::kGpt, 100}})));
  EXPECT_EQ(table.layout_number(), number);
  EXPECT_EQ(table.definition().types.size(), 1U);
  EXPECT_EQ(world.budget.used(), used);
  EXPECT_EQ(lb1.live(name(0), {2}, at(1)), Applied::kChanged);
  EXPECT_EQ(sum_of(table, name(0), DataType::kGpc0), 2U);
}

}  // namespace
}  // namespace stickmesh::store
