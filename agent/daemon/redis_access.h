#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/base/result.h"
#include "agent/config/config.h"
#include "agent/redis/session.h"
#include "agent/tls/context.h"

namespace stickmesh::daemon {

/// The password of `[redis]`: of its file, else of the environment; empty without both.
Result<std::string> redis_password(const config::Redis& config);

/// How all servers of `[redis]` are logged into.
struct RedisAccess {
  redis::Login login{};
  std::shared_ptr<tls::Context> tls{};  ///< null without TLS
  /// One of which a server's certificate must carry: nodes of a cluster are told by their addresses.
  std::vector<std::string> hosts{};
};

}  // namespace stickmesh::daemon
