#pragma once

#include <functional>
#include <string_view>

#include "agent/base/result.h"
#include "agent/net/io_watcher.h"
#include "agent/net/loop.h"
#include "agent/net/socket_address.h"
#include "agent/net/timer.h"
#include "agent/net/unique_fd.h"

namespace stickmesh::net {

/// Makes one outgoing connection after another. Each attempt ends in one call of |on_done|, never from inside
/// `start`: a connected non-blocking descriptor, or why not. The callback may start the next attempt but must
/// not destroy this.
class Connector {
 public:
  using OnDone = std::function<void(Result<UniqueFd>)>;

  Connector(Loop& loop, OnDone on_done);
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  /// Gives up after |patience|. An attempt that is under way is dropped without its call.
  void start(const SocketAddress& address, Duration patience);
  /// Drops the attempt without its call.
  void cancel();
  bool busy() const { return busy_; }

 private:
  int begin();
  void finish(int error);
  void fail(std::string_view why);

  Loop& loop_;
  const OnDone on_done_;
  SocketAddress address_;
  UniqueFd socket_;
  bool busy_ = false;
  int error_ = 0;  ///< of an attempt that ended at once
  Duration patience_{};
  IoWatcher writable_;
  Timer timeout_;
  Deferred ended_at_once_;
};

}  // namespace stickmesh::net
