#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <vector>

#include "agent/base/bytes.h"
#include "agent/base/time.h"
#include "tests/unit/sim/random.h"

namespace stickmesh::sim {

/// How the network behaves: each piece takes |low| to |high| ms, and may be cut anywhere.
struct Weather {
  std::uint32_t low = 0;
  std::uint32_t high = 20;
  bool fragments = true;
  std::size_t room = 1 << 16;  ///< bytes that the network takes in before the sender must wait
};

/// One direction of a connection: bytes under way, in order, in random pieces at random times.
class Pipe {
 public:
  std::size_t room(const Weather& weather) const { return size() < weather.room ? weather.room - size() : 0; }
  void write(Bytes bytes, TimePoint now, const Weather& weather, Random& random) {
    if (size() == 0) {
      bytes_.clear();
      head_ = 0;
      since_ = now;
      schedule(now, weather, random);
    }
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  /// Nothing follows: after the last byte the other side hears of the end.
  void finish(TimePoint now, const Weather& weather, Random& random) {
    if (finished_) return;
    if (size() == 0) schedule(now, weather, random);
    finished_ = true;
  }
  /// Nothing arrives before |when|.
  void stall(TimePoint when) { due_ = std::max(due_, when); }

  std::optional<TimePoint> due() const {
    if (size() == 0 && !finished_) return std::nullopt;
    return due_;
  }
  /// The next piece, valid until the next `write`; empty at the end.
  Bytes take(TimePoint now, const Weather& weather, Random& random) {
    std::size_t count = size();
    if (weather.fragments && count > 1 && !random.one_in(3)) {
      count = random.between(1, static_cast<std::uint32_t>(count));
    }
    head_ += count;
    schedule(now, weather, random);
    lag_ = std::max(lag_, now - since_);
    return Bytes(bytes_).subspan(head_ - count, count);
  }

  /// The longest that any byte was under way, or more.
  Duration lag() const { return lag_; }

 private:
  std::size_t size() const { return bytes_.size() - head_; }
  void schedule(TimePoint now, const Weather& weather, Random& random) {
    due_ = now + Duration(random.between(weather.low, weather.high));
  }

  std::vector<std::byte> bytes_;
  std::size_t head_ = 0;
  TimePoint due_{};
  TimePoint since_{};  ///< when the oldest byte under way was written, or before
  Duration lag_{0};
  bool finished_ = false;
};

}  // namespace stickmesh::sim
