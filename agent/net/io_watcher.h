#pragma once

#include <ev.h>

#include <cstdint>
#include <functional>

#include "agent/net/loop.h"

namespace stickmesh::net {

enum class Ready : std::uint8_t { kToRead, kToWrite };

/// Calls back while a descriptor is ready. Owns no descriptor: stop it before the descriptor is closed.
class IoWatcher {
 public:
  IoWatcher(Loop& loop, Ready ready, std::function<void()> callback);
  IoWatcher(const IoWatcher&) = delete;
  IoWatcher& operator=(const IoWatcher&) = delete;
  ~IoWatcher() { stop(); }

  /// No effect while it already watches |fd|.
  void start(int fd);
  void stop();
  bool active() const { return ev_is_active(&io_); }

 private:
  Loop& loop_;
  const std::function<void()> callback_;
  const int events_;
  ev_io io_;
};

}  // namespace stickmesh::net
