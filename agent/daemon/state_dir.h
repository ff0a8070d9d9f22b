#pragma once

#include <string>

#include "agent/base/result.h"

namespace stickmesh::daemon {

/// Whether this user can keep anything in the directory [agent] state-dir. Otherwise it would be known when
/// something is missing after a restart. An error says what to do.
Result<void> check_state_dir(const std::string& path);

}  // namespace stickmesh::daemon
