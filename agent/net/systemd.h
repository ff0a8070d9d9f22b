#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/result.h"
#include "agent/base/time.h"
#include "agent/net/unique_fd.h"

namespace stickmesh::net {

/// The way to systemd ($NOTIFY_SOCKET, which a soft restart's child inherits).
class Notifier {
 public:
  /// Its descriptor is opened at once: later there may be none left.
  Notifier();

  /// Tells it, such as "READY=1" or "STOPPING=1\nSTATUS=draining". Does nothing when the service manager did
  /// not ask, and never waits.
  Result<void> send(std::string_view state) const;

 private:
  std::string path_;  ///< empty: nobody has asked
  UniqueFd socket_;
};

/// How long systemd waits for the next WATCHDOG=1 of this process; nothing when it does not watch. Whoever is
/// started from here on in the place of this process is watched likewise: $WATCHDOG_PID, which would say
/// otherwise, is removed.
Result<std::optional<Duration>> take_watchdog();

/// The listening sockets that systemd has opened for this process (socket activation), non-blocking and
/// close-on-exec; none when $LISTEN_PID is another process. What is no listening stream socket is closed, and
/// the log says so. To be called before this process has opened descriptors of its own. Nobody who is started
/// from here on takes them for his: the variables are removed.
Result<std::vector<UniqueFd>> take_activated_sockets();

}  // namespace stickmesh::net
