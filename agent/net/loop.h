#pragma once

#include <ev.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "agent/base/time.h"

namespace stickmesh::net {

/// A place in a doubly linked circle; unlinks itself when destroyed.
struct Link {
  Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() { unlink(); }

  bool linked() const { return next != this; }
  void unlink();
  void insert_before(Link& place);

  Link* next = this;
  Link* previous = this;
};

/// The daemon's one event loop, over libev. Whatever is made with a reference to it must be gone before it.
class Loop {
 public:
  Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop();

  /// The time at which this wake-up began: all callbacks of one wake-up see the same.
  TimePoint now() const { return std::chrono::time_point_cast<Duration>(woke_); }
  /// The same, exact.
  std::chrono::steady_clock::time_point woke() const { return woke_; }
  /// Reads the clock anew, for code that worked long outside the callbacks.
  void refresh();

  /// Returns after `stop()`, or when nothing is left to wait for. Can be called again.
  void run();
  /// Waits for one wake-up, runs its callbacks, then the deferred work, then empties the graveyard.
  /// False when nothing is left to wait for.
  bool run_once();
  void stop() { stopping_ = true; }

  /// Keeps |object| alive until the callbacks of this wake-up have returned: how an object dies under its own
  /// call.
  template <typename T>
  void bury(std::unique_ptr<T> object) {
    graves_.emplace_back(object.release(), [](void* buried) { delete static_cast<T*>(buried); });
  }

  /// One buffer for all connections, valid within one callback.
  std::span<std::byte> read_buffer() { return read_buffer_; }

  struct ev_loop* raw() {
    return loop_;
  }

 private:
  friend class Deferred;
  using Grave = std::unique_ptr<void, void (*)(void*)>;

  void read_clock();
  void finish_wakeup();
  void empty_graveyard();

  struct ev_loop* loop_;
  ev_check check_;
  std::chrono::steady_clock::time_point woke_{};
  bool stopping_ = false;
  Link deferred_;
  std::vector<Grave> graves_;
  std::vector<std::byte> read_buffer_;
};

/// Work for the end of the wake-up, however often it was asked for meanwhile. Scheduled by deferred work
/// itself, it runs after the next look at the descriptors, which then does not block: so long work goes on in
/// slices.
class Deferred : private Link {
 public:
  Deferred(Loop& loop, std::function<void()> callback) : loop_(loop), callback_(std::move(callback)) {}

  void schedule() {
    if (!linked()) insert_before(loop_.deferred_);
  }
  void cancel() { unlink(); }
  bool scheduled() const { return linked(); }

 private:
  friend class Loop;
  Loop& loop_;
  const std::function<void()> callback_;
};

}  // namespace stickmesh::net
