#pragma once

#include <cstdint>

#include "agent/base/time.h"

namespace stickmesh::hooks {

/// Keeps a script that goes on failing from being called for a while: after 5 calls within 10 s that ran out
/// of time or memory, or 50 that failed otherwise, for 30 s. The first call after that decides whether it is
/// called again.
class Breaker {
 public:
  bool allows(TimePoint now) const { return now >= closed_until_; }
  bool open(TimePoint now) const { return !allows(now); }
  Duration left(TimePoint now) const { return closed_until_ - now; }

  void succeeded() { trying_ = false; }
  /// True when the script is not called from now on. |weight|: of `kMost`.
  bool failed(unsigned weight, TimePoint now) {
    if (failures_ == 0 || now - since_ > kWindow) {
      since_ = now;
      failures_ = 0;
    }
    failures_ += weight;
    if (failures_ < kMost && !trying_) return false;
    closed_until_ = now + kPause;
    failures_ = 0;
    trying_ = true;
    return true;
  }

  static constexpr unsigned kError = 1;
  static constexpr unsigned kOverrun = 10;

 private:
  static constexpr unsigned kMost = 50;
  static constexpr Duration kWindow{10'000};
  static constexpr Duration kPause{30'000};

  unsigned failures_ = 0;
  bool trying_ = false;  ///< it was bypassed, and has not returned since
  TimePoint since_{};
  TimePoint closed_until_{};
};

}  // namespace stickmesh::hooks
