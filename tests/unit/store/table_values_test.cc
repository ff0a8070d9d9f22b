#include <gtest/gtest.h>

#include <limits>
#include <memory>

#include "agent/store/table.h"
#include "tests/unit/store/table_fixture.h"

namespace stickmesh::store {
namespace {

using std::chrono::seconds;

constexpr std::uint64_t kMax32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kMax64 = std::numeric_limits<std::uint64_t>::max();

class TableValuesTest : public testing::Test {
 protected:
  Table& make(std::vector<StoredType> types, const Merges& merges = default_merges()) {
    table_ =
        std::make_unique<Table>("http", definition_of(std::move(types)), merges, 0, world_.shared, at(0));
    return *table_;
  }
  Sender sender(std::string_view name) { return {*table_, world_.origin(name)}; }

  World world_;
  std::unique_ptr<Table> table_;
};

TEST_F(TableValuesTest, KeepsWhatEachOriginSaidApartAndAddsItUp) {
  Table& table = make({{DataType::kGpc0}, {DataType::kBytesInCnt}});
  Sender lb1 = sender("lb1");
  Sender lb2 = sender("lb2");
  EXPECT_EQ(lb1.live("k", {3, 1000}, at(0)), Applied::kChanged);
  EXPECT_EQ(lb2.live("k", {4, 500}, at(0)), Applied::kChanged);
  EXPECT_EQ(sum_of(table, "k", DataType::kGpc0), 7U);
  EXPECT_EQ(sum_of(table, "k", DataType::kBytesInCnt), 1500U);
  EXPECT_EQ(table.number(contribution(table, "k", lb1.origin()), column(table, DataType::kGpc0), 0), 3U);
  EXPECT_EQ(table.number(contribution(table, "k", lb2.origin()), column(table, DataType::kBytesInCnt), 0),
            500U);

  EXPECT_EQ(lb1.live("k", {10, 1000}, at(1)), Applied::kChanged);
  EXPECT_EQ(sum_of(table, "k", DataType::kGpc0), 14U);
  EXPECT_EQ(lb1.live("k", {10, 1000}, at(1)), Applied::kRefreshed);
  EXPECT_EQ(table.entries(), 1U);
  EXPECT_EQ(table.contributions(), 2U);
}

TEST_F(TableValuesTest, SumsOfThirtyTwoBitCountsDoNotWrap) {
  Table& table = make({{DataType::kGpc0}, {DataType::kGpc, 3}});
  for (const char* name : {"a", "b", "c"}) sender(name).live("k", {kMax32, 1, kMax32, 0}, at(0));
  EXPECT_EQ(sum_of(table, "k", DataType::kGpc0), 3 * kMax32);
  EXPECT_EQ(sum_of(table, "k", DataType::kGpc, 0), 3U);
  EXPECT_EQ(sum_of(table, "k", DataType::kGpc, 1), 3 * kMax32);
  EXPECT_EQ(sum_of(table, "k", DataType::kGpc, 2), 0U);
}

TEST_F(TableValuesTest, SumsPassSixtyFourBitsAndComeBack) {
  Table& table = make({{DataType::kBytesInCnt}, {DataType::kBytesOutCnt}});
  Sender a = sender("a");
  Sender b = sender("b");
  Sender c = sender("c");
  const auto sum = [&] {
    return table.sum(table.find(as_bytes("k")), column(table, DataType::kBytesInCnt), 0);
  };
  a.live("k", {kMax64, 5}, at(0));
  b.live("k", {kMax64, 5}, at(0));
  c.live("k", {1, 5}, at(0));
  EXPECT_EQ(sum().high, 1U);
  EXPECT_EQ(sum().low, kMax64);
  c.live("k", {2, 5}, at(0));
  EXPECT_EQ(sum().high, 2U);
  EXPECT_EQ(sum().low, 0U);
  a.live("k", {0, 5}, at(0));
  EXPECT_EQ(sum().high, 1U);
  EXPECT_EQ(sum().low, 1U);
  b.live("k", {7, 5}, at(0));
  EXPECT_EQ(sum().high, 0U);
  EXPECT_EQ(sum().low, 9U);
  EXPECT_EQ(sum_of(table, "k", DataType::kBytesOutCnt), 15U);
}

TEST_F(TableValuesTest, CountsFallsAndTakesThemAsSaid) {
  Table& table = make({{DataType::kGpc0}, {DataType::kGpt0}});
  Sender lb1 = sender("lb1");
  lb1.live("k", {10, 10}, at(0));
  lb1.live("k", {4, 1}, at(0));
  EXPECT_EQ(sum_of(table, "k", DataType::kGpc0), 4U);
  EXPECT_EQ(table.counters().falls, 1U);  // a tag may be anything
}

TEST_F(TableValuesTest, SignedValuesKeepTheirSign) {
  Table& table = make({{DataType::kServerId}});
  Sender lb1 = sender("lb1");
  const auto minus_two = static_cast<std::uint64_t>(std::int64_t{-2});
  EXPECT_EQ(lb1.live("k", {minus_two}, at(0)), Applied::kChanged);
  EXPECT_EQ(lb1.live("k", {minus_two}, at(0)), Applied::kRefreshed);
  const ContributionId id = contribution(table, "k", lb1.origin());
  EXPECT_EQ(static_cast<std::int64_t>(table.number(id, column(table, DataType::kServerId), 0)), -2);
}

TEST_F(TableValuesTest, EachElementCarriesTheNumberOfItsLastChange) {
  Table& table = make({{DataType::kGpt, 3}});
  Sender lb1 = sender("lb1");
  Sender lb2 = sender("lb2");
  const Column& gpt = column(table, DataType::kGpt);
  const auto changes = [&](const Sender& from) {
    const ContributionId id = contribution(table, "k", from.origin());
    return std::vector{table.change_number(id, gpt, 0), table.change_number(id, gpt, 1),
                       table.change_number(id, gpt, 2)};
  };
  using Numbers = std::vector<std::uint64_t>;
  lb1.live("k", {0, 5, 0}, at(0));  // a first 0 is no change
  EXPECT_EQ(changes(lb1), (Numbers{0, 1, 0}));
  lb2.live("k", {7, 0, 0}, at(0));
  EXPECT_EQ(changes(lb2), (Numbers{2, 0, 0}));
  lb1.live("k", {1, 5, 2}, at(0));
  EXPECT_EQ(changes(lb1), (Numbers{3, 1, 4}));
  lb1.live("k", {1, 0, 2}, at(0));  // back to 0 is one
  EXPECT_EQ(changes(lb1), (Numbers{3, 5, 4}));
  EXPECT_EQ(changes(lb2), (Numbers{2, 0, 0}));
  EXPECT_EQ(world_.lamport, 5U);
}

TEST_F(TableValuesTest, AWideValueWhoseLastChangeCountsKeepsBothApart) {
  Merges merges = default_merges();
  merges[static_cast<std::size_t>(DataType::kBytesInCnt)] = Merge::kLastChange;
  Table& table = make({{DataType::kBytesInCnt}, {DataType::kGpc1}}, merges);
  Sender lb1 = sender("lb1");
  lb1.live("k", {kMax64, 9}, at(0));
  const ContributionId id = contribution(table, "k", lb1.origin());
  EXPECT_EQ(table.number(id, column(table, DataType::kBytesInCnt), 0), kMax64);
  EXPECT_EQ(table.change_number(id, column(table, DataType::kBytesInCnt), 0), 1U);
  EXPECT_EQ(sum_of(table, "k", DataType::kGpc1), 9U);
}

TEST_F(TableValuesTest, ARateIsKeptByTheStartOfItsPeriod) {
  Table& table = make({{DataType::kHttpReqRate, 1, seconds(10)}});
  Sender lb1 = sender("lb1");
  lb1.live("k", {3000, 40, 50}, at(100000));
  const auto rate = [&] {
    return table.rate(contribution(table, "k", lb1.origin()), column(table, DataType::kHttpReqRate), 0);
  };
  EXPECT_EQ(rate().start, at(97000));
  EXPECT_EQ(rate().current, 40U);
  EXPECT_EQ(rate().previous, 50U);
}

TEST_F(TableValuesTest, ARateThatHasFadedOrNeverRanIsEmpty) {
  Table& table = make({{DataType::kHttpReqRate, 1, seconds(10)}});
  Sender lb1 = sender("lb1");
  const auto rate = [&] {
    return table.rate(contribution(table, "k", lb1.origin()), column(table, DataType::kHttpReqRate), 0);
  };
  lb1.live("k", {4294947561, 0, 0}, at(1000));
  EXPECT_EQ(rate().current, 0U);
  EXPECT_EQ(rate().start, TimePoint{});
  lb1.live("k", {20000, 6, 7}, at(1000));
  EXPECT_EQ(rate().current, 6U);
  EXPECT_EQ(lb1.live("k", {20001, 6, 7}, at(1000)), Applied::kChanged);
  EXPECT_EQ(rate().current, 0U);
  EXPECT_EQ(rate().previous, 0U);
  EXPECT_EQ(lb1.live("k", {30000, 6, 7}, at(1000)), Applied::kRefreshed);
}

TEST_F(TableValuesTest, TheSamePeriodSeenAgainIsNoChange) {
  make({{DataType::kHttpReqRate, 1, seconds(10)}});
  Sender lb1 = sender("lb1");
  EXPECT_EQ(lb1.live("k", {3000, 40, 50}, at(100000)), Applied::kChanged);
  EXPECT_EQ(lb1.live("k", {4000, 40, 50}, at(101005)), Applied::kRefreshed);
  EXPECT_EQ(lb1.live("k", {4500, 41, 50}, at(101500)), Applied::kChanged);
  EXPECT_EQ(lb1.live("k", {100, 41, 50}, at(108000)), Applied::kChanged);  // the next one, with equal counts
}

TEST_F(TableValuesTest, ServerKeysAreKeptWhileAContributionNamesThem) {
  Table& table = make({{DataType::kServerKey}});
  Sender lb1 = sender("lb1");
  Sender lb2 = sender("lb2");
  const auto text = [&](const Sender& from) {
    return table.text(contribution(table, "k", from.origin()), column(table, DataType::kServerKey));
  };
  EXPECT_EQ(lb1.live("k", {kTextSet}, at(0), "srv1"), Applied::kChanged);
  EXPECT_EQ(lb2.live("k", {kTextSet}, at(0), "srv1"), Applied::kChanged);
  EXPECT_EQ(text(lb1), "srv1");
  EXPECT_EQ(lb1.live("k", {kTextUnchanged}, at(0)), Applied::kRefreshed);
  EXPECT_EQ(text(lb1), "srv1");
  EXPECT_EQ(lb1.live("k", {kTextSet}, at(0), "srv1"), Applied::kRefreshed);
  EXPECT_EQ(lb1.live("k", {kTextSet}, at(0), "srv2"), Applied::kChanged);
  EXPECT_EQ(text(lb1), "srv2");
  EXPECT_EQ(text(lb2), "srv1");
  EXPECT_EQ(lb1.live("k", {kTextNone}, at(0)), Applied::kChanged);
  EXPECT_EQ(text(lb1), "");
  EXPECT_EQ(world_.lamport, 4U);
  // srv1 has one use left, srv2 none: its place is the next to be used.
  const std::uint32_t again = world_.texts.acquire("srv3");
  EXPECT_EQ(again, 2U);
  table.remove_entry(table.find(as_bytes("k")));
  EXPECT_EQ(world_.texts.acquire("srv4"), 1U);
}

TEST_F(TableValuesTest, ASendersTypesDecideWhatItStores) {
  Table& table = make({{DataType::kGpc0}, {DataType::kGpc1}});
  Sender lb1 = sender("lb1");
  Sender lb2(table, world_.origin("lb2"), definition_of({{DataType::kGpc1}}));
  lb1.live("k", {1, 2}, at(0));
  lb2.live("k", {5}, at(0));
  EXPECT_EQ(sum_of(table, "k", DataType::kGpc0), 1U);
  EXPECT_EQ(sum_of(table, "k", DataType::kGpc1), 7U);
  EXPECT_TRUE(table.stores(contribution(table, "k", lb1.origin()), DataType::kGpc0));
  EXPECT_FALSE(table.stores(contribution(table, "k", lb2.origin()), DataType::kGpc0));
  EXPECT_TRUE(table.stores(contribution(table, "k", lb2.origin()), DataType::kGpc1));
}

TEST_F(TableValuesTest, KeysAreBytesOfAnyLength) {
  Table& table = make({{DataType::kGpc0}});
  Sender lb1 = sender("lb1");
  const std::string longest(32, 'x');
  const std::vector<std::string> keys = {"", "a", std::string("a\0b", 3), "a ", longest};
  for (std::size_t index = 0; index < keys.size(); ++index) lb1.live(keys[index], {index}, at(0));
  EXPECT_EQ(table.entries(), keys.size());
  for (std::size_t index = 0; index < keys.size(); ++index) {
    EXPECT_EQ(sum_of(table, keys[index], DataType::kGpc0), index);
    EXPECT_EQ(as_text(table.key(table.find(as_bytes(keys[index])))), keys[index]);
  }
  EXPECT_EQ(table.find(as_bytes("b")), kNone);
}

TEST_F(TableValuesTest, AnOlderGenerationIsStaleAndANewerOneReplaces) {
  Table& table = make({{DataType::kGpc0}});
  Sender lb1 = sender("lb1");
  lb1.version = {3, 100};
  lb1.live("k", {50}, at(0));
  lb1.version = {2, 900};
  EXPECT_EQ(lb1.live("k", {60}, at(5000)), Applied::kStale);
  const ContributionId id = contribution(table, "k", lb1.origin());
  EXPECT_EQ(sum_of(table, "k", DataType::kGpc0), 50U);
  EXPECT_EQ(table.expires(id), at(10000));
  EXPECT_EQ(table.version(id), (Version{3, 101}));
  EXPECT_EQ(table.counters().stale, 1U);

  lb1.version = {4, 0};
  EXPECT_EQ(lb1.live("k", {2}, at(6000)), Applied::kChanged);
  EXPECT_EQ(sum_of(table, "k", DataType::kGpc0), 2U);
  EXPECT_EQ(table.version(id), (Version{4, 1}));
  EXPECT_EQ(contributions_of(table, "k"), 1U);
}

}  // namespace
}  // namespace stickmesh::store
