#include "agent/aggregate/rate.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "tests/unit/aggregate/haproxy_counter.h"

namespace stickmesh::aggregate {
namespace {

constexpr std::uint32_t kMax32 = std::numeric_limits<std::uint32_t>::max();
constexpr Duration kPeriod{10000};

std::vector<std::uint32_t> readings(Counter from, const std::vector<int>& later) {
  std::vector<std::uint32_t> read;
  for (const int ms : later)
    read.push_back(reading({from.age + Duration(ms), from.current, from.previous}, kPeriod));
  return read;
}

// The vectors of peers-protocol 7.4, read back from HAProxy 2.4 to 3.5.
TEST(ReadingTest, IsWhatHAProxyShows) {
  EXPECT_EQ(reading(counter(0, 0, 1), kPeriod), 1U);
  EXPECT_EQ(reading(counter(9999, 0, 1), kPeriod), 1U);
  EXPECT_EQ(reading(counter(10002, 0, 1), kPeriod), 0U);
  EXPECT_EQ(reading(counter(5000, 0, 2), kPeriod), 1U);
  EXPECT_EQ(reading(counter(5002, 0, 2), kPeriod), 0U);
  EXPECT_EQ(reading(counter(2500, 10, 100), kPeriod), 85U);
  EXPECT_EQ(reading(counter(9998, 10, 100), kPeriod), 10U);
  EXPECT_EQ(reading(counter(10002, 10, 100), kPeriod), 9U);
  EXPECT_EQ(reading(counter(12500, 100, 7), kPeriod), 75U);
  EXPECT_EQ(reading(counter(15000, 1, 50), kPeriod), 1U);
  EXPECT_EQ(reading(counter(19990, 100, 0), kPeriod), 0U);
  EXPECT_EQ(reading(counter(20001, 9, 9), kPeriod), 0U);
}

// A naive sum of fields would read 224 or 134 where 184 is right.
TEST(ReadingTest, OfNaiveSumsIsWrongAsMeasured) {
  EXPECT_EQ(reading(counter(2000, 80, 180), kPeriod), 224U);
  EXPECT_EQ(reading(counter(7000, 80, 180), kPeriod), 134U);
}

TEST(ReadingTest, OfACounterThatNeverRanIsZero) {
  EXPECT_EQ(reading(counter(4294947561, 0, 0), kPeriod), 0U);
  EXPECT_EQ(reading(counter(std::int64_t{1} << 50U, 7, 7), kPeriod), 0U);
}

TEST(ReadingTest, OfTheLargestCountersSaturates) {
  EXPECT_EQ(reading(counter(0, kMax32, kMax32), kPeriod), kMax32);
  EXPECT_EQ(reading(counter(10000, kMax32, kMax32), kPeriod), kMax32);
  EXPECT_EQ(reading(counter(0, kMax32, kMax32), Duration(std::numeric_limits<std::int32_t>::max())), kMax32);
}

TEST(ReadingTest, WithoutAPeriodIsZero) {
  EXPECT_EQ(reading(counter(0, 5, 5), Duration(0)), 0U);
}

TEST(ReadingTest, AgreesWithHAProxysArithmeticOnRandomCounters) {
  constexpr unsigned kSeed = 1;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  std::mt19937 random(kSeed);
  for (int round = 0; round < 200000; ++round) {
    const CounterSet one = random_origins(random, 1);
    ASSERT_EQ(reading(one.counters[0], one.duration()), one.reading(0));
  }
}

struct Row {
  const char* what;
  std::vector<Counter> origins;
  Counter published;
  std::vector<std::uint32_t> wanted;
  std::vector<std::uint32_t> shown;
};

const std::vector<int> kLater = {0, 1000, 3000, 5000, 8000, 10000, 13000, 18000};

// The rows of peers-protocol 7.4.
std::vector<Row> rows() {
  return {
      {"one",
       {counter(3000, 40, 50)},
       counter(3000, 40, 50),
       {75, 70, 60, 50, 36, 28, 16, 0},
       {75, 70, 60, 50, 36, 28, 16, 0}},
      {"in step",
       {counter(4000, 40, 50), counter(4000, 10, 20)},
       counter(4000, 50, 70),
       {92, 85, 71, 57, 40, 30, 15, 0},
       {92, 85, 71, 57, 40, 30, 15, 0}},
      {"out of step",
       {counter(2000, 20, 100), counter(7000, 60, 80)},
       counter(2000, 50, 168),
       {184, 166, 130, 98, 50, 34, 10, 0},
       {184, 167, 134, 100, 50, 40, 25, 0}},
      {"ending and beginning",
       {counter(0, 0, 100), counter(9999, 100, 0)},
       counter(0, 0, 200),
       {200, 180, 140, 100, 40, 0, 0, 0},
       {200, 180, 140, 100, 40, 0, 0, 0}},
      {"one in its second period",
       {counter(15000, 90, 10), counter(1000, 5, 200)},
       counter(1000, 5, 250),
       {230, 201, 143, 85, 25, 4, 3, 0},
       {230, 205, 155, 105, 30, 4, 3, 0}},
      {"three",
       {counter(500, 5, 300), counter(5000, 200, 100), counter(9000, 400, 50)},
       counter(500, 175, 811),
       {945, 900, 740, 580, 310, 144, 43, 0},
       {945, 864, 702, 539, 296, 166, 113, 26}},
      {"single events",
       {counter(100, 1, 0), counter(9000, 1, 0), counter(12000, 1, 0)},
       counter(100, 1, 3),
       {3, 3, 3, 3, 3, 2, 1, 1},
       {3, 3, 3, 2, 1, 1, 1, 1}},
      {"one that never ran",
       {counter(4294947561, 0, 0), counter(3000, 7, 9)},
       counter(3000, 7, 9),
       {13, 12, 10, 8, 6, 4, 2, 0},
       {13, 12, 10, 8, 6, 4, 2, 0}},
      {"faded", {counter(25000, 9, 9)}, counter(0, 0, 0), {0, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 0}},
  };
}

TEST(SumTest, PublishesTheCountersOfTheProtocolsTable) {
  for (const Row& row : rows()) EXPECT_EQ(sum(row.origins, kPeriod), row.published) << row.what;
}

TEST(SumTest, ReadsAsTheProtocolsTableSays) {
  for (const Row& row : rows()) {
    EXPECT_EQ(readings(row.published, kLater), row.shown) << row.what;
    std::vector<std::uint32_t> wanted(kLater.size());
    for (const Counter& origin : row.origins) {
      const std::vector<std::uint32_t> read = readings(origin, kLater);
      for (std::size_t index = 0; index < read.size(); ++index) wanted[index] += read[index];
    }
    EXPECT_EQ(wanted, row.wanted) << row.what;
  }
}

TEST(SumTest, OfNothingIsEmpty) {
  EXPECT_EQ(sum({}, kPeriod), Counter{});
  EXPECT_EQ(sum(std::vector{counter(5, 0, 0), counter(20001, 8, 8)}, kPeriod), Counter{});
  EXPECT_EQ(sum(std::vector{counter(5, 1, 1)}, Duration(0)), Counter{});
}

TEST(SumTest, SaturatesAndSaysSo) {
  bool saturated = true;
  sum(std::vector{counter(0, kMax32 / 2, 0), counter(0, kMax32 / 2, 0)}, kPeriod, &saturated);
  EXPECT_FALSE(saturated);
  const Counter cut = sum(std::vector{counter(0, kMax32, 0), counter(0, 1, 0)}, kPeriod, &saturated);
  EXPECT_TRUE(saturated);
  EXPECT_EQ(reading(cut, kPeriod), kMax32);

  std::vector<Counter> many(256, counter(3000, kMax32, kMax32));
  EXPECT_EQ(reading(sum(many, kPeriod, &saturated), kPeriod), kMax32);
  EXPECT_TRUE(saturated);
  sum(std::vector{counter(0, 3, 0)}, kPeriod, &saturated);
  EXPECT_FALSE(saturated);
}

// The largest period that the protocol can carry, and the largest counts.
TEST(SumTest, HoldsTheLargestNumbers) {
  const Duration period(std::numeric_limits<std::int32_t>::max());
  std::vector<Counter> many;
  for (int index = 0; index < 256; ++index)
    many.push_back({period / 300 * index, kMax32 / 256, kMax32 / 256});
  bool saturated = false;
  const Counter published = sum(many, period, &saturated);
  std::uint64_t total = 0;
  for (const Counter& each : many) total += reading(each, period);
  EXPECT_EQ(reading(published, period), std::min<std::uint64_t>(total, kMax32));
}

}  // namespace
}  // namespace stickmesh::aggregate
