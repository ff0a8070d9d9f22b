#include "agent/aggregate/totals.h"

#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/store/table_fixture.h"

namespace stickmesh::aggregate {
namespace {

using store::at;
using store::kEverything;
using store::kTextNone;
using store::kTextSet;
using store::Sender;

constexpr std::uint64_t kMaxOf32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kMaxOf64 = std::numeric_limits<std::uint64_t>::max();

class TotalsTest : public testing::Test {
 protected:
  void make(std::vector<StoredType> types, const Merges& merges = default_merges()) {
    table_ = std::make_unique<store::Table>("http", store::definition_of(std::move(types)), merges, 0,
                                            world_.shared, at(0));
    totals_ = std::make_unique<Totals>(*table_);
  }
  void make(DataType type, Merge merge) {
    Merges merges = default_merges();
    merges[static_cast<std::size_t>(type)] = merge;
    make({{type}}, merges);
  }
  // An origin that is there, its counters in their first generation.
  Sender sender(std::string_view name) {
    const store::OriginId id = world_.origin(name);
    world_.origins[id].present = true;
    world_.origins[id].generation = 1;
    return {*table_, id};
  }
  std::uint64_t total(DataType type, std::int64_t now, std::uint32_t element = 0) {
    return totals_->number(table_->find(as_bytes("k")), store::column(*table_, type), element, at(now));
  }
  std::string text(std::int64_t now) {
    return std::string(
        totals_->text(table_->find(as_bytes("k")), store::column(*table_, DataType::kServerKey), at(now)));
  }

  store::World world_;
  std::unique_ptr<store::Table> table_;
  std::unique_ptr<Totals> totals_;
};

TEST_F(TotalsTest, CountsAreAddedUpAndExpiredOnesLeave) {
  make({{DataType::kGpc0}, {DataType::kBytesInCnt}, {DataType::kGpc, 2}});
  sender("lb1").live("k", {3, 1000, 1, 2}, at(0));
  sender("lb2").live("k", {4, 500, 10, 20}, at(5000));
  EXPECT_EQ(total(DataType::kGpc0, 5000), 7U);
  EXPECT_EQ(total(DataType::kBytesInCnt, 5000), 1500U);
  EXPECT_EQ(total(DataType::kGpc, 5000, 0), 11U);
  EXPECT_EQ(total(DataType::kGpc, 5000, 1), 22U);
  table_->expire(at(10010), kEverything);
  EXPECT_EQ(total(DataType::kGpc0, 10010), 4U);
  EXPECT_EQ(total(DataType::kGpc, 10010, 1), 20U);
}

TEST_F(TotalsTest, TotalsSaturateAtTheirTypesMaximumAndAreCounted) {
  make({{DataType::kGpc0}, {DataType::kBytesInCnt}});
  Sender lb1 = sender("lb1");
  Sender lb2 = sender("lb2");
  lb1.live("k", {kMaxOf32, kMaxOf64}, at(0));
  lb2.live("k", {0, 0}, at(0));
  EXPECT_EQ(total(DataType::kGpc0, 0), kMaxOf32);
  EXPECT_EQ(total(DataType::kBytesInCnt, 0), kMaxOf64);
  EXPECT_EQ(totals_->saturated(), 0U);
  lb2.live("k", {1, 1}, at(0));
  EXPECT_EQ(total(DataType::kGpc0, 0), kMaxOf32);
  EXPECT_EQ(total(DataType::kBytesInCnt, 0), kMaxOf64);
  EXPECT_EQ(totals_->saturated(), 2U);
  lb1.live("k", {5, 6}, at(0));  // nothing was lost by it
  EXPECT_EQ(total(DataType::kGpc0, 0), 6U);
  EXPECT_EQ(total(DataType::kBytesInCnt, 0), 7U);
  EXPECT_EQ(totals_->saturated(), 2U);
}

TEST_F(TotalsTest, TheLargestOfThoseThatStoreTheType) {
  make(DataType::kGpt0, Merge::kMax);
  sender("lb1").live("k", {3}, at(0));
  sender("lb2").live("k", {9}, at(5000));
  sender("lb3").live("k", {4}, at(7000));
  EXPECT_EQ(total(DataType::kGpt0, 7000), 9U);
  EXPECT_EQ(total(DataType::kGpt0, 15000), 4U);
  EXPECT_EQ(total(DataType::kGpt0, 17000), 0U);
}

TEST_F(TotalsTest, TheSmallestOfThoseThatStoreTheType) {
  make(DataType::kGpt0, Merge::kMin);
  table_->extend(store::definition_of({{DataType::kGpc0}}));
  const TableDefinition tags = store::definition_of({{DataType::kGpt0}});
  Sender(*table_, world_.origin("lb1"), tags).live("k", {3}, at(0));
  Sender(*table_, world_.origin("lb2"), tags).live("k", {9}, at(5000));
  // Stores no tag at all: not a tag of 0.
  Sender(*table_, world_.origin("lb3"), store::definition_of({{DataType::kGpc0}})).live("k", {1}, at(5000));
  EXPECT_EQ(total(DataType::kGpt0, 5000), 3U);
  EXPECT_EQ(total(DataType::kGpt0, 10000), 9U);
  Sender(*table_, world_.origin("lb4"), tags).live("k", {0}, at(6000));
  EXPECT_EQ(total(DataType::kGpt0, 10000), 0U);
}

TEST_F(TotalsTest, ConnectionsCountWhileTheirOriginIsPresentAndOfThatGeneration) {
  make({{DataType::kConnCur}});
  Sender lb1 = sender("lb1");
  Sender lb2 = sender("lb2");
  lb1.live("k", {3}, at(0));
  lb2.live("k", {4}, at(0));
  EXPECT_EQ(total(DataType::kConnCur, 0), 7U);
  world_.origins[lb2.origin()].present = false;
  EXPECT_EQ(total(DataType::kConnCur, 0), 3U);
  world_.origins[lb2.origin()].present = true;
  world_.origins[lb1.origin()].generation = 2;  // reloaded: the old process's connections are gone
  EXPECT_EQ(total(DataType::kConnCur, 0), 4U);
  lb1.version.generation = 2;
  lb1.live("k", {1}, at(0));
  EXPECT_EQ(total(DataType::kConnCur, 0), 5U);
  EXPECT_EQ(total(DataType::kConnCur, 10000), 0U);
}

TEST_F(TotalsTest, SumsOverPresentOriginsSaturateToo) {
  make({{DataType::kConnCur}});
  sender("lb1").live("k", {kMaxOf32}, at(0));
  sender("lb2").live("k", {1}, at(0));
  EXPECT_EQ(total(DataType::kConnCur, 0), kMaxOf32);
  EXPECT_EQ(totals_->saturated(), 1U);
}

TEST_F(TotalsTest, TheNewestChangeStandsWhoeverSpokeLast) {
  make({{DataType::kGpt0}});
  Sender lb1 = sender("lb1");
  Sender lb2 = sender("lb2");
  lb1.live("k", {5}, at(0));
  lb2.live("k", {0}, at(100));  // a first 0 is no change
  EXPECT_EQ(total(DataType::kGpt0, 100), 5U);
  lb2.live("k", {8}, at(200));
  lb1.live("k", {5}, at(300));  // said again: no change
  EXPECT_EQ(total(DataType::kGpt0, 300), 8U);
  lb1.live("k", {0}, at(400));  // taken back
  EXPECT_EQ(total(DataType::kGpt0, 400), 0U);
}

TEST_F(TotalsTest, TheNewestChangeAmongLiveContributionsStands) {
  make({{DataType::kGpt0}});
  Sender lb1 = sender("lb1");
  Sender lb2 = sender("lb2");
  lb1.live("k", {5}, at(0));
  lb2.live("k", {8}, at(0));
  lb1.live("k", {5}, at(5000));
  EXPECT_EQ(total(DataType::kGpt0, 9999), 8U);
  EXPECT_EQ(total(DataType::kGpt0, 10000), 5U);
  EXPECT_EQ(total(DataType::kGpt0, 15000), 0U);
}

TEST_F(TotalsTest, ElementsOfAnArrayHaveTheirOwnNewestChange) {
  make({{DataType::kGpt, 2}});
  Sender lb1 = sender("lb1");
  Sender lb2 = sender("lb2");
  lb1.live("k", {1, 2}, at(0));
  lb2.live("k", {7, 0}, at(0));
  EXPECT_EQ(total(DataType::kGpt, 0, 0), 7U);
  EXPECT_EQ(total(DataType::kGpt, 0, 1), 2U);
}

// Homes that cannot see each other give equal numbers; all agents must then choose alike.
TEST_F(TotalsTest, EqualChangeNumbersAreDecidedByTheOriginsName) {
  for (const std::vector<std::string>& order : {std::vector<std::string>{"lb1", "lb2"}, {"lb2", "lb1"}}) {
    make({{DataType::kGpt0}, {DataType::kServerKey}});
    for (const std::string& name : order) {
      world_.lamport = 40;
      sender(name).live("k", {name == "lb1" ? 1U : 2U, kTextSet}, at(0), name);
    }
    EXPECT_EQ(total(DataType::kGpt0, 0), 2U);
    EXPECT_EQ(text(0), "lb2");
  }
}

TEST_F(TotalsTest, TheServerKeyIsThatOfTheNewestChange) {
  make({{DataType::kServerKey}});
  Sender lb1 = sender("lb1");
  Sender lb2 = sender("lb2");
  lb1.live("k", {kTextSet}, at(0), "srv1");
  lb2.live("k", {kTextNone}, at(0));
  EXPECT_EQ(text(0), "srv1");
  lb2.live("k", {kTextSet}, at(1000), "srv2");
  EXPECT_EQ(text(1000), "srv2");
  lb2.live("k", {kTextNone}, at(1000));
  EXPECT_EQ(text(1000), "");
  EXPECT_EQ(text(10000), "");
  lb1.live("k", {kTextSet}, at(2000), "srv1");
  EXPECT_EQ(text(11000), "srv1");
  EXPECT_EQ(text(12000), "");
}

TEST_F(TotalsTest, ASignedValueKeepsItsSign) {
  make({{DataType::kServerId}});
  sender("lb1").live("k", {static_cast<std::uint64_t>(std::int64_t{-2})}, at(0));
  EXPECT_EQ(static_cast<std::int64_t>(total(DataType::kServerId, 0)), -2);
}

TEST_F(TotalsTest, AWideValueMayBeTheLargestOrTheNewest) {
  make(DataType::kBytesInCnt, Merge::kMax);
  sender("lb1").live("k", {kMaxOf64}, at(0));
  sender("lb2").live("k", {5}, at(0));
  EXPECT_EQ(total(DataType::kBytesInCnt, 0), kMaxOf64);
  EXPECT_EQ(totals_->saturated(), 0U);
  make(DataType::kBytesInCnt, Merge::kLastChange);
  sender("lb1").live("k", {kMaxOf64}, at(0));
  EXPECT_EQ(total(DataType::kBytesInCnt, 0), kMaxOf64);
  sender("lb2").live("k", {5}, at(0));
  EXPECT_EQ(total(DataType::kBytesInCnt, 0), 5U);
}

// The total is a function of the contributions, not of the order in which they came.
TEST_F(TotalsTest, TheOrderOfArrivalDoesNotMatter) {
  const auto all = [&](std::initializer_list<int> order) {
    make({{DataType::kConnCur}, {DataType::kGpc0}, {DataType::kBytesInCnt}});
    for (const int index : order) {
      const auto value = static_cast<std::uint64_t>(index);
      sender("lb" + std::to_string(index)).live("k", {value, value * 10, kMaxOf64 - value}, at(0));
    }
    return std::vector{total(DataType::kConnCur, 0), total(DataType::kGpc0, 0),
                       total(DataType::kBytesInCnt, 0)};
  };
  const auto wanted = all({1, 2, 3});
  EXPECT_EQ(wanted, (std::vector<std::uint64_t>{6, 60, kMaxOf64}));
  EXPECT_EQ(all({3, 1, 2}), wanted);
  EXPECT_EQ(all({2, 3, 1, 2, 3}), wanted);
}

}  // namespace
}  // namespace stickmesh::aggregate
