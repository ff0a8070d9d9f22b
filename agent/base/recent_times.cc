#include "agent/base/recent_times.h"

#include <algorithm>
#include <bit>

namespace stickmesh {

namespace {

constexpr Duration kHalf{10'000};
/// Below it there is a bucket for each microsecond, above it so many for each doubling.
constexpr std::uint64_t kSteps = 16;
constexpr std::uint64_t kStepBits = 4;

}  // namespace

std::size_t RecentTimes::bucket_of(Microseconds took) {
  const auto value = static_cast<std::uint64_t>(std::max<Microseconds::rep>(took.count(), 0));
  if (value < kSteps) return static_cast<std::size_t>(value);
  const std::uint64_t shift = static_cast<std::uint64_t>(std::bit_width(value)) - kStepBits - 1;
  const std::uint64_t bucket = kSteps * shift + (value >> shift);
  return static_cast<std::size_t>(std::min<std::uint64_t>(bucket, kBuckets - 1));
}

RecentTimes::Microseconds RecentTimes::upper_end(std::size_t bucket) {
  if (bucket < kSteps) return Microseconds(bucket);
  const std::size_t shift = bucket / kSteps - 1;
  return Microseconds((((bucket % kSteps + kSteps + 1) << shift) - 1));
}

void RecentTimes::forget_old(TimePoint now) {
  if (now - current_.since < kHalf) return;
  if (now - current_.since < 2 * kHalf) {
    previous_ = current_;
  } else {
    previous_ = {};
  }
  current_ = {};
  current_.since = now;
}

void RecentTimes::add(Microseconds took, std::uint64_t times, TimePoint now) {
  forget_old(now);
  current_.count += times;
  current_.max = std::max(current_.max, took);
  current_.buckets[bucket_of(took)] += times;
}

RecentTimes::Microseconds RecentTimes::quantile(std::uint64_t percent, const Summary& summary) const {
  std::uint64_t left = (summary.count * percent + 99) / 100;
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
    const std::uint64_t here = current_.buckets[bucket] + previous_.buckets[bucket];
    if (here >= left) return std::min(upper_end(bucket), summary.max);
    left -= here;
  }
  return summary.max;
}

RecentTimes::Summary RecentTimes::summary(TimePoint now) const {
  RecentTimes lately = *this;
  lately.forget_old(now);
  Summary summary;
  summary.count = lately.current_.count + lately.previous_.count;
  if (summary.count == 0) return summary;
  const TimePoint since = lately.previous_.count != 0 ? lately.previous_.since : lately.current_.since;
  const auto elapsed = std::max<Duration>(now - since, std::chrono::seconds(1));
  summary.per_second = summary.count * 1000 / static_cast<std::uint64_t>(elapsed.count());
  summary.max = std::max(lately.current_.max, lately.previous_.max);
  summary.p50 = lately.quantile(50, summary);
  summary.p99 = lately.quantile(99, summary);
  return summary;
}

}  // namespace stickmesh
