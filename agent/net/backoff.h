#pragma once

#include <algorithm>
#include <random>

#include "agent/base/time.h"

namespace stickmesh::net {

/// How long to wait before whoever cannot be reached is dialled again: from 0.1 s, longer each time, up to 5
/// s.
class Backoff {
 public:
  /// The next wait, spread over half of its length, so that those who lost a connection at the same moment,
  /// or dial each other, do not meet for ever.
  Duration next() {
    const Duration wait(
        std::uniform_int_distribution<Duration::rep>(delay_.count() / 2, delay_.count())(random_));
    delay_ = std::min(delay_ * 8 / 5, kLongest);
    return wait;
  }
  void reset() { delay_ = kFirst; }

 private:
  static constexpr Duration kFirst{100};
  static constexpr Duration kLongest{5000};

  Duration delay_ = kFirst;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace stickmesh::net
