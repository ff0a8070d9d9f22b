#include "agent/lua/watchdog.h"

#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>

#include <algorithm>
#include <system_error>

namespace stickmesh::lua {

namespace {

// A limit of the processor's time, not of the clock's: a busy machine is not the script's fault.
std::int64_t processor_time() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

Watchdog::Watchdog() {
  struct sigaction action {};
  action.sa_sigaction = &Watchdog::on_signal;
  action.sa_flags = SA_RESTART | SA_SIGINFO;
  ::sigaction(SIGRTMIN, &action, nullptr);
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGRTMIN;
  event.sigev_value.sival_ptr = this;
  event._sigev_un._tid = static_cast<pid_t>(::syscall(SYS_gettid));
  if (::timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0) {
    throw std::system_error(errno, std::generic_category(), "timer_create");
  }
}

// A signal that was on its way has come when this returns: it is for this thread.
Watchdog::~Watchdog() {
  ::timer_delete(timer_);
}

void Watchdog::begin(lua_State* state, Limit limit) {
  limit_.store(limit.count(), std::memory_order_relaxed);
  call_.store(call_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  running_.store(state, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  // One that was set for a longer call, be it another script's, would come too late for this one.
  const std::int64_t look_after = limit.count() / 2;
  if (set_.load(std::memory_order_relaxed) && set_for_.load(std::memory_order_relaxed) <= look_after) return;
  set_.store(true, std::memory_order_relaxed);
  set_timer(look_after);
}

bool Watchdog::end() {
  lua_State* const state = running_.load(std::memory_order_relaxed);
  running_.store(nullptr, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (!stopped_.load(std::memory_order_relaxed)) return false;
  stopped_.store(false, std::memory_order_relaxed);
  lua_sethook(state, nullptr, 0, 0);
  return true;
}

void Watchdog::on_signal(int /*signal*/, siginfo_t* info, void* /*context*/) {
  const int kept = errno;
  // Others may send it, too.
  if (info->si_code == SI_TIMER) static_cast<Watchdog*>(info->si_value.sival_ptr)->look();
  errno = kept;
}

void Watchdog::look() {
  lua_State* const state = running_.load(std::memory_order_relaxed);
  if (state == nullptr || stopped_.load(std::memory_order_relaxed)) {
    set_.store(false, std::memory_order_relaxed);
    return;
  }
  const std::int64_t limit = limit_.load(std::memory_order_relaxed);
  const std::uint64_t call = call_.load(std::memory_order_relaxed);
  const std::int64_t now = processor_time();
  if (seen_.load(std::memory_order_relaxed) != call) {
    seen_.store(call, std::memory_order_relaxed);
    seen_at_.store(now, std::memory_order_relaxed);
    return set_timer(limit / 2);
  }
  const std::int64_t left = seen_at_.load(std::memory_order_relaxed) + limit - now;
  if (left > 0) return set_timer(left);
  stopped_.store(true, std::memory_order_relaxed);
  set_.store(false, std::memory_order_relaxed);
  // The stock interpreter does the same on SIGINT: the one function that may be called at any time.
  lua_sethook(state, &Watchdog::stop, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

void Watchdog::stop(lua_State* state, lua_Debug* where) {
  // A function of the library has no line: its caller has.
  lua_Debug caller{};
  lua_getinfo(state, "Sl", where);
  for (int level = 1; where->currentline < 0 && lua_getstack(state, level, &caller) != 0; ++level) {
    lua_getinfo(state, "Sl", &caller);
    where = &caller;
  }
  if (where->currentline < 0) {
    lua_pushliteral(state, "it ran longer than call-time");
  } else {
    lua_pushfstring(state, "%s:%d: it ran longer than call-time", where->short_src, where->currentline);
  }
  lua_error(state);
}

void Watchdog::set_timer(std::int64_t nanoseconds) {
  set_for_.store(nanoseconds, std::memory_order_relaxed);
  itimerspec when{};
  when.it_value.tv_sec = nanoseconds / 1'000'000'000;
  when.it_value.tv_nsec = std::max<std::int64_t>(nanoseconds % 1'000'000'000, 1);
  ::timer_settime(timer_, 0, &when, nullptr);
}

}  // namespace stickmesh::lua
