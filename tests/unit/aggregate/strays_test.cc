#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "agent/aggregate/rate.h"
#include "tests/unit/aggregate/haproxy_counter.h"

namespace stickmesh::aggregate {
namespace {

std::optional<Duration> strays(const std::vector<Counter>& counters, Duration period = Duration(10000)) {
  return strays_after(sum(counters, period), counters, period);
}

TEST(StraysAfterTest, OneOriginNeverStrays) {
  EXPECT_EQ(strays({counter(3000, 40000, 50)}), std::nullopt);
  EXPECT_EQ(strays({counter(3000, 40000, 50), counter(5, 0, 0), counter(20001, 9, 9)}), std::nullopt);
  EXPECT_EQ(strays({}), std::nullopt);
}

TEST(StraysAfterTest, OriginsInStepNeverStray) {
  EXPECT_EQ(strays({counter(3000, 40000, 50), counter(3000, 10, 90000)}), std::nullopt);
}

TEST(StraysAfterTest, SingleEventsAreNotWorthAnUpdate) {
  EXPECT_EQ(strays({counter(100, 1, 0), counter(9000, 1, 0), counter(12000, 1, 0)}), std::nullopt);
}

// One origin stops, the other begins: 500 of the first are gone after 1 s, which a single line cannot follow.
TEST(StraysAfterTest, OriginsOutOfStepStray) {
  const auto after = strays({counter(500, 5, 300), counter(5000, 200, 100), counter(9000, 400, 50)});
  ASSERT_TRUE(after.has_value());
  EXPECT_GT(*after, Duration(0));
  EXPECT_LT(*after, Duration(10000));
}

TEST(StraysAfterTest, NeverAsksForAnUpdateMoreOftenThanSixtyFourTimesAPeriod) {
  for (unsigned seed = 1; seed < 4; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 20000; ++round) {
      const CounterSet origins = random_origins(random, 12);
      const auto after = strays(origins.counters, origins.duration());
      if (after) {
        ASSERT_GE(*after, origins.duration() / 64);
        ASSERT_LE(*after, 2 * origins.duration());
      }
    }
  }
}

class StraysBoundTest : public testing::TestWithParam<unsigned> {
 protected:
  // Compares at |samples| random instants of the first |until| ms after now.
  void expect_within_bound(const CounterSet& origins, const Counter& published, std::int64_t until,
                           int samples) {
    const HAProxyCounter shown = learned(published, CounterSet::kNow);
    double active = 0;
    for (const Counter& each : origins.counters) {
      active += each.age <= 2 * origins.duration() && (each.current != 0 || each.previous != 0) ? 1 : 0;
    }
    for (int sample = 0; sample < samples; ++sample) {
      const auto later = static_cast<std::uint32_t>(random_() % static_cast<std::uint64_t>(until + 1));
      const double wanted = origins.exact(later);
      // The instant that was named is rounded up to a millisecond.
      const double step = std::abs(origins.exact(later - 1.0) - wanted) +
                          (static_cast<double>(published.previous) + published.current) / origins.period;
      const double allowed = 0.05 * wanted + active + step;
      ASSERT_NEAR(origins.exact(published, later), wanted, allowed) << later << " ms later";
      // As whole numbers, each of which may lack one or show a single event in full.
      ASSERT_NEAR(static_cast<double>(shown.read(CounterSet::kNow + later, origins.period)),
                  static_cast<double>(origins.reading(later)), allowed + active + 1)
          << later << " ms later";
    }
  }

  std::mt19937 random_{GetParam()};
};

TEST_P(StraysBoundTest, UntilThenThePublishedRateIsWithinFivePercent) {
  int strayed = 0;
  for (int round = 0; round < 5000; ++round) {
    const CounterSet origins = random_origins(random_, 12);
    const Counter published = sum(origins.counters, origins.duration());
    const auto after = strays_after(published, origins.counters, origins.duration());
    if (after && *after == origins.duration() / 64) continue;  // sooner is never asked for
    strayed += after ? 1 : 0;
    expect_within_bound(origins, published, after ? after->count() : 2 * std::int64_t{origins.period}, 40);
    if (HasFatalFailure()) FAIL() << "round " << round;
  }
  EXPECT_GT(strayed, 500) << "the case hardly occurred";
}

// The instant is not named for nothing: an update would correct what is shown then or soon after.
TEST_P(StraysBoundTest, TheInstantIsNotFarTooSoon) {
  for (int round = 0; round < 5000; ++round) {
    const CounterSet origins = random_origins(random_, 12);
    const Counter published = sum(origins.counters, origins.duration());
    const auto after = strays_after(published, origins.counters, origins.duration());
    if (!after) continue;
    double worst = 0;
    for (std::int64_t later = after->count(); later < 2 * std::int64_t{origins.period};
         later += 1 + origins.period / 500) {
      const double wanted = origins.exact(static_cast<double>(later));
      const double shown = origins.exact(published, static_cast<double>(later));
      worst = std::max(worst, std::abs(shown - wanted) - 0.05 * wanted);
    }
    ASSERT_GE(worst, 0.0) << "round " << round;
  }
}

// Sent anew whenever it is asked for, the total stays within the bound however long nothing new arrives.
TEST_P(StraysBoundTest, SentAnewThenARateStaysTrueUntilItHasFaded) {
  for (int round = 0; round < 2000; ++round) {
    CounterSet aged = random_origins(random_, 8);
    int sent = 0;
    for (std::int64_t now = 0; now < 2 * std::int64_t{aged.period};) {
      const Counter published = sum(aged.counters, aged.duration());
      const auto after = strays_after(published, aged.counters, aged.duration());
      ++sent;
      if (!after) break;
      if (*after > aged.duration() / 64) expect_within_bound(aged, published, after->count(), 5);
      if (HasFatalFailure()) FAIL() << "round " << round << ", " << now << " ms";
      for (Counter& each : aged.counters) each.age += *after;
      now += after->count();
    }
    ASSERT_LE(sent, 129);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, StraysBoundTest, testing::Values(1U, 2U, 3U));

}  // namespace
}  // namespace stickmesh::aggregate
