#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "agent/base/result.h"

namespace stickmesh::ctl {

/// Sends |line| to the agent behind the UNIX socket |path| and hands what it answers to |piece| as it
/// arrives, until the agent closes. Blocks as long as the agent takes. Errors say what to do.
Result<void> ask(const std::string& path, std::string_view line,
                 const std::function<void(std::string_view)>& piece);

}  // namespace stickmesh::ctl
