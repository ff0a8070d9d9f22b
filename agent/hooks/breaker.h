#pragma once

#include <cstdint>

#include "agent/base/time.h"

namespace stickmesh::hooks {

/// Keeps functions that go on failing from being called for a while: after 5 calls within 10 s that ran out
/// of time or memory, or 50 that failed otherwise and were most of all, for 30 s. The first call after that
/// decides whether they are called again.
class Breaker {
 public:
  bool allows(TimePoint now) const { return now >= closed_until_; }
  bool open(TimePoint now) const { return !allows(now); }
  Duration left(TimePoint now) const { return closed_until_ - now; }

  void succeeded(TimePoint now) {
    begin_call(now);
    trying_ = false;
  }
  /// True when they are not called from now on. An |overrun| is one of time or memory.
  bool failed(bool overrun, TimePoint now) {
    begin_call(now);
    overruns_ += overrun ? 1 : 0;
    errors_ += overrun ? 0 : 1;
    const bool most = errors_ >= kMostErrors && 2 * errors_ > calls_;
    if (overruns_ < kMostOverruns && !most && !trying_) return false;
    closed_until_ = now + kPause;
    calls_ = errors_ = overruns_ = 0;
    trying_ = true;
    return true;
  }

 private:
  static constexpr std::uint64_t kMostErrors = 50;
  static constexpr std::uint64_t kMostOverruns = 5;
  static constexpr Duration kWindow{10'000};
  static constexpr Duration kPause{30'000};

  void begin_call(TimePoint now) {
    if (calls_ == 0 || now - since_ > kWindow) {
      since_ = now;
      calls_ = errors_ = overruns_ = 0;
    }
    ++calls_;
  }

  std::uint64_t calls_ = 0;  ///< since |since_|, as the others
  std::uint64_t errors_ = 0;
  std::uint64_t overruns_ = 0;
  bool trying_ = false;  ///< they were bypassed, and none has returned since
  TimePoint since_{};
  TimePoint closed_until_{};
};

}  // namespace stickmesh::hooks
