#include "agent/net/io_watcher.h"

#include <utility>

#include "agent/net/guard.h"

namespace stickmesh::net {

IoWatcher::IoWatcher(Loop& loop, Ready ready, std::function<void()> callback)
    : loop_(loop), callback_(std::move(callback)), events_(ready == Ready::kToRead ? EV_READ : EV_WRITE) {
  ev_io_init(
      &io_,
      [](struct ev_loop*, ev_io* watcher, int) {
        guarded("a descriptor's callback", static_cast<IoWatcher*>(watcher->data)->callback_);
      },
      -1, events_);
  io_.data = this;
}

void IoWatcher::start(int fd) {
  if (active() && io_.fd == fd) return;
  stop();
  ev_io_set(&io_, fd, events_);
  ev_io_start(loop_.raw(), &io_);
}

void IoWatcher::stop() {
  ev_io_stop(loop_.raw(), &io_);
}

}  // namespace stickmesh::net
