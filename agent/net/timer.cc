#include "agent/net/timer.h"

#include <algorithm>
#include <utility>

#include "agent/net/guard.h"

namespace stickmesh::net {

Timer::Timer(Loop& loop, std::function<void()> callback) : loop_(loop), callback_(std::move(callback)) {
  ev_timer_init(
      &timer_, [](struct ev_loop*, ev_timer* watcher, int) { static_cast<Timer*>(watcher->data)->fire(); },
      0., 0.);
  timer_.data = this;
}

void Timer::set(TimePoint when) {
  stop();
  when_ = when;
  const auto delay = std::chrono::duration<double>(when - loop_.now());
  ev_timer_set(&timer_, std::max(0., delay.count()), 0.);
  ev_timer_start(loop_.raw(), &timer_);
}

void Timer::stop() {
  ev_timer_stop(loop_.raw(), &timer_);
}

void Timer::fire() {
  // libev's clock and ours are read a moment apart, and ours is cut to milliseconds.
  if (loop_.now() < when_) return set(when_);
  guarded("a timer", callback_);
}

}  // namespace stickmesh::net
