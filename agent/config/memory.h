#pragma once

#include <string>

#include "agent/config/config.h"

namespace stickmesh::config {

/// For `-c`: how much memory the daemon can come to use, and what the declared tables would take of it. The
/// latter are estimates; the former is the bound that is kept.
std::string memory_worst_case(const Config& config);

}  // namespace stickmesh::config
