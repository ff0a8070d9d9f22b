#pragma once

#include <string_view>

#include "agent/base/result.h"

namespace stickmesh::net {

/// Tells systemd, such as "READY=1" or "STOPPING=1\nSTATUS=draining". Does nothing when the service manager
/// did not ask ($NOTIFY_SOCKET is unset). The environment is read at each call, because a soft restart's
/// child inherits it.
Result<void> notify_systemd(std::string_view state);

}  // namespace stickmesh::net
