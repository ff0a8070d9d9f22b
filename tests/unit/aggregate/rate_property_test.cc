#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "agent/aggregate/rate.h"
#include "tests/unit/aggregate/haproxy_counter.h"

namespace stickmesh::aggregate {
namespace {

// Random sets of counters against HAProxy's own arithmetic, read from each origin at one instant.
class RatePropertyTest : public testing::TestWithParam<unsigned> {
 protected:
  std::mt19937 random_{GetParam()};
};

bool empty(const Counter& counter, Duration period) {
  return counter.age > 2 * period || (counter.current == 0 && counter.previous == 0);
}

std::size_t counting(const CounterSet& origins) {
  return static_cast<std::size_t>(
      std::count_if(origins.counters.begin(), origins.counters.end(),
                    [&](const auto& each) { return !empty(each, origins.duration()); }));
}

std::string describe(const CounterSet& origins, const Counter& published) {
  std::string words = "period " + std::to_string(origins.period);
  const auto add = [&](const Counter& counter) {
    words += " (" + std::to_string(counter.age.count()) + "," + std::to_string(counter.current) + "," +
             std::to_string(counter.previous) + ")";
  };
  for (const Counter& counter : origins.counters) add(counter);
  words += " published";
  add(published);
  return words;
}

TEST_P(RatePropertyTest, OnArrivalTheSumIsExact) {
  for (int round = 0; round < 20000; ++round) {
    const CounterSet origins = random_origins(random_, 12);
    const Counter published = sum(origins.counters, origins.duration());
    if (published.age == origins.duration()) continue;  // all fade out in this very millisecond
    const std::uint64_t wanted = origins.reading(0);
    const std::uint64_t shown = learned(published, CounterSet::kNow).read(CounterSet::kNow, origins.period);
    ASSERT_GE(shown, wanted) << describe(origins, published);
    ASSERT_LE(shown, wanted + 1) << describe(origins, published);
  }
}

TEST_P(RatePropertyTest, WhenTheYoungestsPeriodEndsTheSumIsExact) {
  for (int round = 0; round < 20000; ++round) {
    const CounterSet origins = random_origins(random_, 12);
    const Counter published = sum(origins.counters, origins.duration());
    const auto knee = origins.period - static_cast<std::uint32_t>(published.age.count());
    const std::uint64_t shown =
        learned(published, CounterSet::kNow).read(CounterSet::kNow + knee, origins.period);
    // Rounding alone: each origin's reading lacks less than one, and a single event is shown in full.
    const auto slack = static_cast<double>(counting(origins)) + 1e-6 * origins.exact(knee);
    ASSERT_NEAR(static_cast<double>(shown), origins.exact(knee), slack) << describe(origins, published);
    ASSERT_NEAR(static_cast<double>(shown), static_cast<double>(origins.reading(knee)), slack)
        << describe(origins, published);
  }
}

TEST_P(RatePropertyTest, WhenTheLastHasFadedTheSumHasToo) {
  for (int round = 0; round < 20000; ++round) {
    const CounterSet origins = random_origins(random_, 12);
    const Counter published = sum(origins.counters, origins.duration());
    const auto end = 2 * origins.period - static_cast<std::uint32_t>(published.age.count());
    const HAProxyCounter shown = learned(published, CounterSet::kNow);
    ASSERT_LE(shown.read(CounterSet::kNow + end, origins.period), 1U) << describe(origins, published);
    ASSERT_EQ(shown.read(CounterSet::kNow + end + 1, origins.period), 0U) << describe(origins, published);
    ASSERT_EQ(origins.reading(end + 1), 0U) << describe(origins, published);
  }
}

TEST_P(RatePropertyTest, OneOriginIsFollowedExactlyThroughout) {
  for (int round = 0; round < 20000; ++round) {
    CounterSet origins = random_origins(random_, 1);
    const std::size_t idle = random_() % 3;
    for (std::size_t index = 0; index < idle; ++index) {
      origins.counters.push_back(index == 0 ? Counter{Duration(3), 0, 0}
                                            : Counter{3 * origins.duration(), 8, 8});
    }
    const Counter published = sum(origins.counters, origins.duration());
    const HAProxyCounter shown = learned(published, CounterSet::kNow);
    std::set<std::uint32_t> instants = {0, 1};
    for (std::uint32_t turn = 1; turn <= 3; ++turn) {
      for (const std::uint32_t around : {0U, 1U, 2U}) {
        const std::int64_t at = std::int64_t{turn} * origins.period - published.age.count() + around - 1;
        if (at >= 0) instants.insert(static_cast<std::uint32_t>(at));
      }
    }
    for (int sample = 0; sample < 30; ++sample) {
      instants.insert(static_cast<std::uint32_t>(random_() % (2 * origins.period)));
    }
    for (const std::uint32_t later : instants) {
      ASSERT_EQ(shown.read(CounterSet::kNow + later, origins.period), origins.reading(later))
          << later << " ms later, " << describe(origins, published);
    }
  }
}

TEST_P(RatePropertyTest, OriginsInStepAreFollowedButForTheirRounding) {
  for (int round = 0; round < 5000; ++round) {
    CounterSet origins = random_origins(random_, 12);
    for (Counter& counter : origins.counters) counter.age = origins.counters[0].age;
    const Counter published = sum(origins.counters, origins.duration());
    const HAProxyCounter shown = learned(published, CounterSet::kNow);
    for (int sample = 0; sample < 30; ++sample) {
      const auto later = static_cast<std::uint32_t>(random_() % (2 * origins.period));
      ASSERT_NEAR(static_cast<double>(shown.read(CounterSet::kNow + later, origins.period)),
                  static_cast<double>(origins.reading(later)), static_cast<double>(counting(origins)))
          << later << " ms later, " << describe(origins, published);
    }
  }
}

// 7.3: the fields stay near the sums of the origins' fields, so that they saturate only where those do.
TEST_P(RatePropertyTest, ThePublishedFieldsStayWithinTheOriginsFields) {
  for (int round = 0; round < 20000; ++round) {
    const CounterSet origins = random_origins(random_, 12);
    std::uint64_t current = 0;
    std::uint64_t both = 0;
    for (const Counter& counter : origins.counters) {
      current += counter.current;
      both += std::uint64_t{counter.current} + counter.previous;
    }
    bool saturated = true;
    const Counter published = sum(origins.counters, origins.duration(), &saturated);
    ASSERT_FALSE(saturated);
    ASSERT_LE(published.current, current) << describe(origins, published);
    ASSERT_LE(published.age, origins.duration()) << describe(origins, published);
    // Rounding up weighs more the nearer the youngest is to its end: as much as a whole period per origin.
    const auto left = static_cast<std::uint64_t>((origins.duration() - published.age).count());
    const std::uint64_t rounding = left == 0 ? 0 : counting(origins) * origins.period / left + 1;
    ASSERT_LE(published.previous, both + rounding) << describe(origins, published);
  }
}

TEST_P(RatePropertyTest, TheOrderOfOriginsDoesNotMatter) {
  for (int round = 0; round < 5000; ++round) {
    CounterSet origins = random_origins(random_, 12);
    const Counter published = sum(origins.counters, origins.duration());
    std::shuffle(origins.counters.begin(), origins.counters.end(), random_);
    ASSERT_EQ(sum(origins.counters, origins.duration()), published);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RatePropertyTest, testing::Values(1U, 2U, 3U));

}  // namespace
}  // namespace stickmesh::aggregate
