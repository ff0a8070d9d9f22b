#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "agent/base/time.h"

namespace stickmesh::aggregate {

/// A frequency counter as it travels: |age| is how long ago its current period began.
struct Counter {
  Duration age{0};
  std::uint32_t current = 0;
  std::uint32_t previous = 0;

  bool operator==(const Counter&) const = default;
};

/// What HAProxy shows for |counter| in events per |period| (peers-protocol 7.1): within the first period the
/// current part counts whole and the previous one fades; within the second the current part fades in its
/// turn.
std::uint32_t reading(const Counter& counter, Duration period);

/// The single counter to publish for many.
///
/// Each origin's reading falls in straight lines, with a knee where its period ends (its current part begins
/// to fade) and an end one period later. A single counter has one knee only, so it cannot follow many. `sum`
/// makes the counter that reads exactly as they do together at three instants: on arrival, when the youngest
/// origin's period ends, and when that origin has faded out, which is when all have. With E = the youngest
/// age, P = the period, T = the sum of the readings now and C = the sum of the readings when the youngest
/// period ends (each origin's current part has then faded for e - E):
///
///     publish age E, current C, previous Q  with  C + Q * (P - E) / P = T,  so  Q = (T - C) * P / (P - E)
///
/// One origin, or several in step, come out as they went in. Between the three instants the published line
/// leaves the true one; `strays_after` says when by too much, and the publisher sends the counter anew then.
///
/// All counters have the same |period|. Ages may be of any size and never negative. Saturates at 32 bits,
/// which is told in |saturated|.
Counter sum(std::span<const Counter> counters, Duration period, bool* saturated = nullptr);

/// How long after now the reading of |published| first differs from the sum of the readings of |counters| by
/// more than 5 % and more than their rounding (one for each counter after the first); nothing when it never
/// does. At least 1/64 of the period.
std::optional<Duration> strays_after(const Counter& published, std::span<const Counter> counters,
                                     Duration period);

}  // namespace stickmesh::aggregate
