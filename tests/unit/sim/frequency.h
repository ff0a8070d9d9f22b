#pragma once

#include <cstdint>

#include "agent/base/time.h"

namespace stickmesh::sim {

/// HAProxy's clock: milliseconds in 32 bits, which wrap.
using Tick = std::uint32_t;

inline Tick tick(TimePoint when) {
  return static_cast<Tick>(when.time_since_epoch().count());
}

/// A frequency counter as HAProxy keeps it (peers-protocol 7.1). Written a second time here, so that the
/// agent's own arithmetic is not its own judge.
struct Frequency {
  Tick start = 0;  ///< of the current period; 0 before the first event
  std::uint32_t current = 0;
  std::uint32_t previous = 0;

  void count(std::uint32_t events, Duration each, Tick now) {
    const auto period = static_cast<Tick>(each.count());
    if (now - start < period) {
      current += events;
      return;
    }
    previous = current;
    current = events;
    start += period;
    if (now - start >= period) {
      previous = 0;
      start = now;
    }
    start &= ~1U;  // HAProxy keeps a lock there
  }

  /// Without the rule that shows a single event in full, and without rounding.
  double exact(Duration period, Tick now) const {
    const double age = now - start;
    const auto whole = static_cast<double>(period.count());
    if (age <= whole) return current + previous * (whole - age) / whole;
    if (age <= 2 * whole) return current * (2 * whole - age) / whole;
    return 0;
  }
};

}  // namespace stickmesh::sim
