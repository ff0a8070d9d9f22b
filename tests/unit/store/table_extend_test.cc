#include <gtest/gtest.h>

#include <string>

#include "agent/store/table.h"
#include "tests/unit/store/table_fixture.h"

namespace stickmesh::store {
namespace {

using std::chrono::seconds;

constexpr std::uint64_t kHuge = static_cast<std::uint64_t>(-1);

TEST(TableExtendTest, KeepsEverythingWhenTypesComeInBetween) {
  World world;
  Table table("http",
              definition_of({{DataType::kGpt0},
                             {DataType::kHttpReqRate, 1, seconds(10)},
                             {DataType::kBytesInCnt},
                             {DataType::kServerKey},
                             {DataType::kGpc, 2}}),
              default_merges(), 0, world.shared, at(0));
  Sender lb1(table, world.origin("lb1"));
  Sender lb2(table, world.origin("lb2"));
  for (std::uint64_t key = 0; key < 3000; ++key) {
    lb1.live(std::to_string(key), {key, 100, key, 7, kHuge - key, kTextSet, key, 1}, at(1000),
             "srv" + std::to_string(key % 5));
    if (key % 3 == 0) lb2.live(std::to_string(key), {5, 200, 1, 1, kHuge, kTextNone, 1, 2}, at(2000));
  }
  for (std::uint64_t key = 0; key < 3000; key += 7)
    table.remove_entry(table.find(as_bytes(std::to_string(key))));
  const std::size_t entries = table.entries();
  const std::size_t contributions = table.contributions();
  table.set_published(table.find(as_bytes("9")), 99, at(5));

  const std::uint32_t number = table.layout_number();
  table.extend(definition_of({{DataType::kServerId},
                              {DataType::kGpc0},
                              {DataType::kBytesOutCnt},
                              {DataType::kGpcRate, 2, seconds(5)}}));
  EXPECT_NE(table.layout_number(), number);
  EXPECT_EQ(table.entries(), entries);
  EXPECT_EQ(table.contributions(), contributions);
  EXPECT_EQ(table.memory(), world.budget.used());
  EXPECT_EQ(table.published_sequence(table.find(as_bytes("9"))), 99U);
  EXPECT_EQ(table.published_end(table.find(as_bytes("9"))), at(5));

  for (std::uint64_t key = 0; key < 3000; ++key) {
    const EntryId entry = table.find(as_bytes(std::to_string(key)));
    ASSERT_EQ(entry == kNone, key % 7 == 0);
    if (entry == kNone) continue;
    const bool both = key % 3 == 0;
    const ContributionId id = table.find(entry, lb1.origin());
    ASSERT_EQ(table.number(id, column(table, DataType::kGpt0), 0), key);
    ASSERT_EQ(table.rate(id, column(table, DataType::kHttpReqRate), 0).start, at(900));
    ASSERT_EQ(table.rate(id, column(table, DataType::kHttpReqRate), 0).current, key);
    ASSERT_EQ(table.text(id, column(table, DataType::kServerKey)), "srv" + std::to_string(key % 5));
    ASSERT_EQ(table.expires(id), at(11000));
    ASSERT_EQ(table.version(id).generation, 1U);
    const Table::Sum bytes = table.sum(entry, column(table, DataType::kBytesInCnt), 0);
    ASSERT_EQ(bytes.high, both ? 1U : 0U);
    ASSERT_EQ(bytes.low, both ? kHuge - key - 1 : kHuge - key);
    ASSERT_EQ(sum_of(table, std::to_string(key), DataType::kGpc, 0), both ? key + 1 : key);
    ASSERT_EQ(sum_of(table, std::to_string(key), DataType::kGpc, 1), both ? 3U : 1U);
    ASSERT_EQ(sum_of(table, std::to_string(key), DataType::kGpc0), 0U);
    ASSERT_EQ(table.number(id, column(table, DataType::kServerId), 0), 0U);
    ASSERT_EQ(table.change_number(id, column(table, DataType::kServerId), 0), 0U);
  }

  table.expire(at(11005), kEverything);
  EXPECT_EQ(sum_of(table, "3", DataType::kGpc, 1), 2U);
  table.expire(at(12005), kEverything);
  EXPECT_EQ(table.entries(), 0U);
  EXPECT_EQ(world.texts.text(1), "");
}

TEST(TableExtendTest, OldAndNewSendersGoOn) {
  World world;
  Table table("http", definition_of({{DataType::kGpc1}}), default_merges(), 0, world.shared, at(0));
  Sender lb1(table, world.origin("lb1"));
  lb1.live("k", {4}, at(0));
  table.extend(definition_of({{DataType::kGpc0}}));
  Sender lb2(table, world.origin("lb2"), definition_of({{DataType::kGpc0}}));
  lb2.live("k", {3}, at(0));
  lb1.live("k", {5}, at(0));
  lb1.live("new", {6}, at(0));
  EXPECT_EQ(sum_of(table, "k", DataType::kGpc0), 3U);
  EXPECT_EQ(sum_of(table, "k", DataType::kGpc1), 5U);
  EXPECT_EQ(sum_of(table, "new", DataType::kGpc1), 6U);
}

TEST(TableExtendTest, NothingNewChangesNothing) {
  World world;
  Table table("http", definition_of({{DataType::kGpc0}, {DataType::kGpc1}}), default_merges(), 0,
              world.shared, at(0));
  const std::uint32_t number = table.layout_number();
  table.extend(definition_of({{DataType::kGpc1}}));
  EXPECT_EQ(table.layout_number(), number);
}

TEST(TableExtendTest, FreeRowsStayFreeAndChangesStayRemembered) {
  World world;
  Table table("http", definition_of({{DataType::kGpc0}}), default_merges(), 0, world.shared, at(0));
  table.track_changes(true);
  Sender lb1(table, world.origin("lb1"));
  for (int key = 0; key < 10; ++key) lb1.live(std::to_string(key), {1}, at(0));
  for (const char* key : {"2", "5"}) table.remove_entry(table.find(as_bytes(key)));
  table.extend(definition_of({{DataType::kBytesInCnt}}));
  EXPECT_EQ(take_changed(table).size(), 8U);
  const std::uint32_t end = 10;
  for (int key = 10; key < 12; ++key) {
    lb1.live(std::to_string(key), {1}, at(0));
    EXPECT_LT(table.find(as_bytes(std::to_string(key))), end);
  }
}

}  // namespace
}  // namespace stickmesh::store
