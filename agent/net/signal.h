#pragma once

#include <ev.h>

#include <functional>

#include "agent/net/loop.h"

namespace stickmesh::net {

/// Calls back from the loop, not from the signal's context, after |number| was received. One loop a signal.
class Signal {
 public:
  Signal(Loop& loop, int number, std::function<void()> callback);
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  ~Signal() { ev_signal_stop(loop_.raw(), &signal_); }

 private:
  Loop& loop_;
  const std::function<void()> callback_;
  ev_signal signal_;
};

}  // namespace stickmesh::net
