#pragma once

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <lua.hpp>

namespace stickmesh::lua {

/// Stops Lua code that has used more of the processor than it may. While all is well a call costs two stores:
/// a timer looks now and then, at least twice within the time that a call may take, whether it still finds
/// the same call, and does not run while there are none. What has run for so long is stopped after one to one
/// and a half times its limit, and goes on being stopped at each instruction, so that no `pcall` can swallow
/// it.
///
/// Used in the thread that has made it, to which its timer sends SIGRTMIN.
class Watchdog {
 public:
  Watchdog();
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  using Limit = std::chrono::nanoseconds;

  /// From here to `end` the code in |state| runs, for |limit| at most. Calls do not nest.
  void begin(lua_State* state, Limit limit);
  /// True when it was stopped.
  bool end();

 private:
  static void on_signal(int signal, siginfo_t* info, void* context);
  static void stop(lua_State* state, lua_Debug* where);
  void look();
  void set_timer(std::int64_t nanoseconds);

  timer_t timer_{};
  std::atomic<lua_State*> running_{nullptr};
  std::atomic<std::int64_t> limit_{0};    ///< nanoseconds
  std::atomic<std::uint64_t> call_{0};    ///< its number
  std::atomic<bool> set_{false};          ///< the timer
  std::atomic<std::int64_t> set_for_{0};  ///< nanoseconds
  std::atomic<bool> stopped_{false};      ///< the call at hand
  std::atomic<std::uint64_t> seen_{0};    ///< the call that the timer found last
  std::atomic<std::int64_t> seen_at_{0};  ///< the thread's processor time then
};

}  // namespace stickmesh::lua
