#pragma once

#include <ev.h>

#include <functional>

#include "agent/net/loop.h"

namespace stickmesh::net {

/// Fires once, at or after the time that was set, never before it by the loop's clock. The callback may set
/// it again but must not destroy it.
class Timer {
 public:
  Timer(Loop& loop, std::function<void()> callback);
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { stop(); }

  void set(TimePoint when);
  void stop();
  bool active() const { return ev_is_active(&timer_); }
  /// When it is due; meaningful only while it is active.
  TimePoint when() const { return when_; }

 private:
  void fire();

  Loop& loop_;
  const std::function<void()> callback_;
  ev_timer timer_;
  TimePoint when_{};
};

}  // namespace stickmesh::net
