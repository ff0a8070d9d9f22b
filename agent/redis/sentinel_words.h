#pragma once

#include <string>
#include <string_view>

#include "agent/base/result.h"
#include "agent/redis/replies.h"

namespace stickmesh::redis {

/// The master's HOST:PORT, out of what a sentinel answers to SENTINEL get-master-addr-by-name |master|.
Result<std::string> read_master(const Reply& reply, std::string_view master);

}  // namespace stickmesh::redis
