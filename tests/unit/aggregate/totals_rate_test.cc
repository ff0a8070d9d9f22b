#include <gtest/gtest.h>

#include <memory>

#include "agent/aggregate/totals.h"
#include "tests/unit/store/table_fixture.h"

namespace stickmesh::aggregate {
namespace {

using std::chrono::seconds;
using store::at;
using store::Sender;

class TotalsRateTest : public testing::Test {
 protected:
  Counter total(std::int64_t now, DataType type = DataType::kHttpReqRate, std::uint32_t element = 0) {
    return totals_.rate(table_.find(as_bytes("k")), store::column(table_, type), element, at(now));
  }
  Sender sender(std::string_view name) { return {table_, world_.origin(name)}; }

  store::World world_;
  store::Table table_{
      "http",
      store::definition_of({{DataType::kHttpReqRate, 1, seconds(10)}, {DataType::kGpcRate, 2, seconds(10)}},
                           seconds(60)),
      default_merges(),
      0,
      world_.shared,
      at(0)};
  Totals totals_{table_};
};

TEST_F(TotalsRateTest, RatesOfManyOriginsComeOutAsOneCounter) {
  sender("lb1").live("k", {2000, 20, 100, 0, 0, 0, 0, 0, 0}, at(100'000));
  sender("lb2").live("k", {7000, 60, 80, 0, 0, 0, 4000, 40, 50}, at(100'000));
  EXPECT_EQ(total(100'000), (Counter{Duration(2000), 50, 168}));
  EXPECT_EQ(total(100'000, DataType::kGpcRate, 0), Counter{});
  EXPECT_EQ(total(100'000, DataType::kGpcRate, 1), (Counter{Duration(4000), 40, 50}));
}

TEST_F(TotalsRateTest, EachContributionIsReadAtOneInstantWheneverItCame) {
  sender("lb1").live("k", {1000, 20, 100, 0, 0, 0, 0, 0, 0}, at(99'000));
  sender("lb2").live("k", {4000, 60, 80, 0, 0, 0, 0, 0, 0}, at(97'000));
  EXPECT_EQ(total(100'000), (Counter{Duration(2000), 50, 168}));
}

TEST_F(TotalsRateTest, AnExpiredContributionAddsNothing) {
  sender("lb1").lesson("k", {2000, 20, 100, 0, 0, 0, 0, 0, 0}, Duration(500), at(100'000));
  sender("lb2").live("k", {7000, 60, 80, 0, 0, 0, 0, 0, 0}, at(100'000));
  EXPECT_EQ(total(100'500), (Counter{Duration(7500), 60, 80}));
}

TEST_F(TotalsRateTest, WhenItHasFadedTheCounterIsEmpty) {
  sender("lb1").live("k", {2000, 20, 100, 0, 0, 0, 0, 0, 0}, at(100'000));
  EXPECT_EQ(total(118'001), Counter{});
}

TEST_F(TotalsRateTest, TellsWhenTheLastCounterWillHaveStrayed) {
  sender("lb1").live("k", {500, 5, 300, 0, 0, 0, 0, 0, 0}, at(100'000));
  sender("lb2").live("k", {5000, 200, 100, 0, 0, 0, 0, 0, 0}, at(100'000));
  const Counter published = total(100'000);
  const std::vector<Counter> origins = {{Duration(500), 5, 300}, {Duration(5000), 200, 100}};
  EXPECT_TRUE(totals_.last_rate_strays_after().has_value());
  EXPECT_EQ(totals_.last_rate_strays_after(), strays_after(published, origins, seconds(10)));
  total(100'000, DataType::kGpcRate);
  EXPECT_FALSE(totals_.last_rate_strays_after().has_value());
}

TEST_F(TotalsRateTest, ACutRateIsCounted) {
  sender("lb1").live("k", {0, 0xffffffff, 0, 0, 0, 0, 0, 0, 0}, at(100'000));
  total(100'000);
  EXPECT_EQ(totals_.saturated(), 0U);
  sender("lb2").live("k", {0, 0xffffffff, 0, 0, 0, 0, 0, 0, 0}, at(100'000));
  EXPECT_EQ(total(100'000), (Counter{Duration(0), 0xffffffff, 0}));
  EXPECT_EQ(totals_.saturated(), 1U);
}

}  // namespace
}  // namespace stickmesh::aggregate
