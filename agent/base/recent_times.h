#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "agent/base/time.h"

namespace stickmesh {

/// How long something took lately: over the last 10 to 20 s, in bounded memory, each time exact to a
/// sixteenth.
class RecentTimes {
 public:
  using Microseconds = std::chrono::microseconds;

  struct Summary {
    std::uint64_t count = 0;
    std::uint64_t per_second = 0;
    Microseconds p50{}, p99{}, max{};  ///< 0 when |count| is
  };

  /// It took so long |times| times.
  void add(Microseconds took, std::uint64_t times, TimePoint now);
  Summary summary(TimePoint now) const;

 private:
  static constexpr std::size_t kBuckets = 384;

  struct Half {
    TimePoint since{};
    std::uint64_t count = 0;
    Microseconds max{};
    std::array<std::uint64_t, kBuckets> buckets{};
  };

  static std::size_t bucket_of(Microseconds took);
  static Microseconds upper_end(std::size_t bucket);
  Microseconds quantile(std::uint64_t percent, const Summary& summary) const;
  void forget_old(TimePoint now);

  Half current_, previous_;
};

}  // namespace stickmesh
