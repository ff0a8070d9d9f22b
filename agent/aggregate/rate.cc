#include "agent/aggregate/rate.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace stickmesh::aggregate {

namespace {

__extension__ using Wide = unsigned __int128;

constexpr std::uint64_t kMaximum = std::numeric_limits<std::uint32_t>::max();

// The two parts of a counter and how much of the period is left to fade, whichever half of its life it is in.
struct Parts {
  std::uint64_t steady;
  std::uint64_t fading;
  std::uint64_t left;  // ms until the fading part is gone
};

Parts parts(const Counter& counter, Duration period) {
  const auto age = static_cast<std::uint64_t>(counter.age.count());
  const auto whole = static_cast<std::uint64_t>(period.count());
  if (age <= whole) return {counter.current, counter.previous, whole - age};
  if (age <= 2 * whole) return {0, counter.current, 2 * whole - age};
  return {0, 0, 0};
}

// The reading without HAProxy's rounding, |later| from now.
double exact(const Counter& counter, double period, double later) {
  const double age = static_cast<double>(counter.age.count()) + later;
  if (age <= period) return counter.current + counter.previous * (period - age) / period;
  if (age <= 2 * period) return counter.current * (2 * period - age) / period;
  return 0;
}

double exact(std::span<const Counter> counters, double period, double later) {
  double total = 0;
  for (const Counter& counter : counters) total += exact(counter, period, later);
  return total;
}

}  // namespace

std::uint32_t reading(const Counter& counter, Duration period) {
  if (period.count() <= 0) return 0;
  const auto [steady, fading, left] = parts(counter, period);
  // One single event is shown in full for two periods instead of rounding down to none at once.
  if (steady == 0 && fading <= 1) return static_cast<std::uint32_t>(fading);
  const auto whole = static_cast<std::uint64_t>(period.count());
  // A division of 128 bits takes longer than all the rest.
  if (whole <= kMaximum / 2) {
    return static_cast<std::uint32_t>(std::min((steady * whole + fading * left) / whole, kMaximum));
  }
  const Wide scaled = Wide{steady} * whole + Wide{fading} * left;
  return static_cast<std::uint32_t>(std::min<Wide>(scaled / whole, kMaximum));
}

Counter sum(std::span<const Counter> counters, Duration period, bool* saturated) {
  if (saturated != nullptr) *saturated = false;
  const auto whole = static_cast<std::uint64_t>(period.count());
  std::uint64_t youngest = whole;
  Wide now = 0;
  Wide all_previous = 0;
  std::size_t counting = 0;
  Counter only;
  // A counter in its second period is one that has just begun a period without events.
  const auto in_first_period = [&](const Counter& counter) -> Counter {
    return counter.age <= period ? counter : Counter{counter.age - period, 0, counter.current};
  };
  const auto empty = [&](const Counter& counter) {
    return counter.age > 2 * period || (counter.current == 0 && counter.previous == 0);
  };
  for (const Counter& counter : counters) {
    if (empty(counter)) continue;
    ++counting;
    now += reading(counter, period);
    const Counter rotated = in_first_period(counter);
    only = rotated;
    youngest = std::min(youngest, static_cast<std::uint64_t>(rotated.age.count()));
    all_previous += rotated.previous;
  }
  if (counting == 0 || whole == 0) return {};
  // One alone is followed exactly; the rounding below could show it one lower on the way.
  if (counting == 1) return only;

  Wide knee = 0;
  for (const Counter& counter : counters) {
    if (empty(counter)) continue;
    const Counter rotated = in_first_period(counter);
    knee += Wide{rotated.current} * (whole - (static_cast<std::uint64_t>(rotated.age.count()) - youngest));
  }
  const Wide current = std::min(now, knee / whole);
  const std::uint64_t left = whole - youngest;
  const Wide previous = left == 0 ? all_previous : ((now - current) * whole + left - 1) / left;
  if (saturated != nullptr) *saturated = current > kMaximum || previous > kMaximum;
  return {Duration(static_cast<Duration::rep>(youngest)),
          static_cast<std::uint32_t>(std::min<Wide>(current, kMaximum)),
          static_cast<std::uint32_t>(std::min<Wide>(previous, kMaximum))};
}

std::optional<Duration> strays_after(const Counter& published, std::span<const Counter> counters,
                                     Duration period) {
  constexpr double kTolerance = 0.05;
  const auto counting = std::count_if(counters.begin(), counters.end(), [&](const Counter& counter) {
    return counter.age <= 2 * period && (counter.current != 0 || counter.previous != 0);
  });
  if (counting < 2) return std::nullopt;
  // Each origin's reading is rounded, and a single event is shown in full until it is gone.
  const auto allowance = static_cast<double>(counting - 1);
  const auto whole = static_cast<double>(period.count());
  const auto next_knee = [&](double after) {
    double next = std::numeric_limits<double>::infinity();
    const auto consider = [&](const Counter& counter) {
      for (const double knee : {whole - static_cast<double>(counter.age.count()),
                                2 * whole - static_cast<double>(counter.age.count())}) {
        if (knee > after) next = std::min(next, knee);
      }
    };
    consider(published);
    for (const Counter& counter : counters) consider(counter);
    return next;
  };
  // Between two knees both lines are straight, so the excess bends only upwards: the straight line between
  // its ends meets zero before the excess does.
  const auto excess = [&](double wanted, double shown) {
    return std::abs(shown - wanted) - kTolerance * wanted - allowance;
  };
  double from = 0;
  double wanted_from = exact(counters, whole, 0);
  double shown_from = exact(published, whole, 0);
  while (true) {
    const double to = next_knee(from);
    if (std::isinf(to)) return std::nullopt;
    const double wanted_to = exact(counters, whole, to);
    const double shown_to = exact(published, whole, to);
    if (excess(wanted_to, shown_to) > 0) {
      const double before = std::min(excess(wanted_from, shown_from), 0.0);
      const double share = -before / (excess(wanted_to, shown_to) - before);
      const Duration after(static_cast<Duration::rep>(std::ceil(from + share * (to - from))));
      return std::max(after, period / 64);
    }
    from = to;
    wanted_from = wanted_to;
    shown_from = shown_to;
  }
}

}  // namespace stickmesh::aggregate
