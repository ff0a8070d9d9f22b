#include "agent/net/systemd.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "agent/net/unique_fd.h"

namespace stickmesh::net {

Result<void> notify_systemd(std::string_view state) {
  const char* const target = std::getenv("NOTIFY_SOCKET");
  if (target == nullptr || *target == '\0') return {};
  const std::string_view path(target);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if ((path.front() != '/' && path.front() != '@') || path.size() >= sizeof address.sun_path) {
    return refuse(Reason::kSystem, fmt::format("NOTIFY_SOCKET={} is no UNIX socket", path));
  }
  path.copy(address.sun_path, path.size());
  // Abstract, and unlike HAProxy's names not padded: the length counts.
  if (path.front() == '@') address.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());

  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd || ::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL,
                      reinterpret_cast<const sockaddr*>(&address), size) < 0) {
    const int error = errno;
    return refuse(Reason::kSystem,
                  fmt::format("cannot notify systemd on {}: {}", path, std::strerror(error)));
  }
  return {};
}

}  // namespace stickmesh::net
