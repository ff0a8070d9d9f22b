#include "agent/daemon/redis_access.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace stickmesh::daemon {

namespace {

constexpr std::size_t kMaxPassword = 4096;

}  // namespace

Result<std::string> redis_password(const config::Redis& config) {
  if (config.password_file.empty()) {
    const char* given = std::getenv("STICKMESH_REDIS_PASSWORD");
    return given == nullptr ? std::string() : std::string(given);
  }
  std::ifstream file(config.password_file);
  std::string password;
  if (!file || !std::getline(file, password)) {
    const int error = file.is_open() ? 0 : errno;
    return refuse(Reason::kSystem, fmt::format("redis.password-file: {}: {}", config.password_file,
                                               error == 0 ? "it has no line" : std::strerror(error)));
  }
  if (password.ends_with('\r')) password.pop_back();
  if (password.size() > kMaxPassword) {
    return refuse(Reason::kSystem,
                  fmt::format("redis.password-file: {}: its first line is longer than {} bytes",
                              config.password_file, kMaxPassword));
  }
  return password;
}

}  // namespace stickmesh::daemon
