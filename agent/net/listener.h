#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "agent/base/result.h"
#include "agent/net/io_watcher.h"
#include "agent/net/loop.h"
#include "agent/net/socket_address.h"
#include "agent/net/timer.h"
#include "agent/net/unique_fd.h"

namespace stickmesh::net {

struct ListenOptions {
  mode_t mode = 0660;   ///< of a UNIX socket's file
  std::string group{};  ///< of a UNIX socket's file: a name or a number; empty leaves it
  int backlog = 1024;
};

/// A non-blocking listening socket. A UNIX socket's file that nobody answers on any more is replaced. Errors
/// name the address, what the system said, and what to do.
Result<UniqueFd> listen_on(const SocketAddress& address, const ListenOptions& options = {});

/// Lets others use the file of a UNIX socket, as |options| say.
Result<void> give_access(const SocketAddress& address, const ListenOptions& options);

/// Accepts on a listening socket, made by `listen_on` or inherited, some at a time, until it is destroyed. A
/// UNIX socket's file is left behind: another process may have inherited the socket.
class Listener {
 public:
  /// The descriptor is non-blocking and close-on-exec. The callback may pause the listener but must not
  /// destroy it.
  using OnAccept = std::function<void(UniqueFd, const SocketAddress& peer)>;

  Listener(Loop& loop, UniqueFd socket, OnAccept on_accept);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  const SocketAddress& address() const { return address_; }
  int fd() const { return socket_.get(); }
  /// New connections wait in the kernel meanwhile.
  void pause();
  void resume();

 private:
  void accept_some();
  void back_off(int error);

  Loop& loop_;
  const UniqueFd socket_;
  const SocketAddress address_;
  const OnAccept on_accept_;
  IoWatcher readable_;
  Timer retry_;
  TimePoint complained_{};
};

}  // namespace stickmesh::net
