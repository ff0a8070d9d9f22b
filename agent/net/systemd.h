#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "agent/base/result.h"
#include "agent/base/time.h"
#include "agent/net/unique_fd.h"

namespace stickmesh::net {

/// Tells systemd, such as "READY=1" or "STOPPING=1\nSTATUS=draining". Does nothing when the service manager
/// did not ask ($NOTIFY_SOCKET is unset), and never waits. The environment is read at each call, because a
/// soft restart's child inherits it.
Result<void> notify_systemd(std::string_view state);

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
