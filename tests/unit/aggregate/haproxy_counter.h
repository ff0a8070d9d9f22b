#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "agent/aggregate/rate.h"

namespace stickmesh::aggregate {

/// |age|: milliseconds since its period began.
inline Counter counter(std::int64_t age, std::uint32_t current, std::uint32_t previous) {
  return {Duration(age), current, previous};
}

/// A counter with HAProxy's own arithmetic: a 32-bit clock in ms, the tick at which the period began, signed
/// remainders. Written from peers-protocol 7.1, and not from the code under test.
struct HAProxyCounter {
  std::uint32_t tick = 0;
  std::uint32_t current = 0;
  std::uint32_t previous = 0;

  void count(std::uint32_t now, std::uint32_t events, std::uint32_t period) {
    if (now - tick >= period) {
      previous = current;
      current = 0;
      tick += period;
      if (now - tick >= period) {
        previous = 0;
        tick = now;
      }
      tick &= ~1U;
    }
    current += events;
  }

  std::uint64_t read(std::uint32_t now, std::uint32_t period) const {
    auto left = static_cast<std::int32_t>(tick + period - now);
    std::uint64_t whole = current;
    std::uint64_t fading = previous;
    if (left < 0) {
      left += static_cast<std::int32_t>(period);
      fading = left < 0 ? 0 : current;
      whole = 0;
    }
    if (whole == 0 && fading <= 1) return fading;
    return (whole * period + fading * static_cast<std::uint64_t>(left)) / period;
  }
};

/// What arrives at an instance at |now| as the counter |sent|.
inline HAProxyCounter learned(const Counter& sent, std::uint32_t now) {
  return {now - static_cast<std::uint32_t>(sent.age.count()), sent.current, sent.previous};
}

/// Some origins' counters of one key, all read at one instant.
struct CounterSet {
  std::vector<Counter> counters;
  std::uint32_t period = 10000;

  Duration duration() const { return Duration(period); }

  /// The sum of what the origins' HAProxys would show |later| ms from now.
  std::uint64_t reading(std::uint32_t later) const {
    std::uint64_t total = 0;
    for (const Counter& counter : counters) total += learned(counter, kNow).read(kNow + later, period);
    return total;
  }
  /// The same without any rounding.
  double exact(double later) const {
    double total = 0;
    for (const Counter& counter : counters) total += exact(counter, later);
    return total;
  }
  double exact(const Counter& counter, double later) const {
    const double age = static_cast<double>(counter.age.count()) + later;
    if (age <= period) return counter.current + counter.previous * (period - age) / period;
    return age <= 2.0 * period ? counter.current * (2.0 * period - age) / period : 0;
  }

  static constexpr std::uint32_t kNow = 0x90000000U;
};

/// Between one and |most| origins: counters that ran under random traffic, and ones of random fields.
inline CounterSet random_origins(std::mt19937& random, unsigned most) {
  CounterSet origins;
  const std::uint32_t periods[] = {1000, 10000, 10000, 60000, 3600000};
  origins.period = periods[random() % 5];
  const auto below = [&](std::uint32_t limit) { return static_cast<std::uint32_t>(random() % limit); };
  const std::uint32_t count = 1 + below(most);
  const std::uint32_t scale = 1U << below(18);
  for (std::uint32_t index = 0; index < count; ++index) {
    const std::uint32_t period = origins.period;
    if (below(2) == 0) {
      origins.counters.push_back({Duration(below(period * 2 + period / 4)),
                                  below(4) == 0 ? below(2) : below(scale),
                                  below(4) == 0 ? below(2) : below(scale)});
      continue;
    }
    HAProxyCounter counter{CounterSet::kNow - 4 * period + below(period), 0, 0};
    const std::uint32_t pace = 1 + below(period / 4);
    const std::uint32_t quiet = below(3) == 0 ? below(2 * period) : 0;
    for (std::uint32_t now = counter.tick; CounterSet::kNow - quiet - now < 5 * period;
         now += 1 + period / 200 + below(pace)) {
      counter.count(now, below(scale) + 1, period);
    }
    origins.counters.push_back(
        {Duration(CounterSet::kNow - counter.tick), counter.current, counter.previous});
  }
  return origins;
}

}  // namespace stickmesh::aggregate
