#include "agent/net/signal.h"

#include <utility>

#include "agent/net/guard.h"

namespace stickmesh::net {

Signal::Signal(Loop& loop, int number, std::function<void()> callback)
    : loop_(loop), callback_(std::move(callback)) {
  ev_signal_init(
      &signal_,
      [](struct ev_loop*, ev_signal* watcher, int) {
        guarded("a signal", static_cast<Signal*>(watcher->data)->callback_);
      },
      number);
  signal_.data = this;
  ev_signal_start(loop_.raw(), &signal_);
}

}  // namespace stickmesh::net
