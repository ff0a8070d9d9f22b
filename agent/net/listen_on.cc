#include <fmt/format.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include "agent/net/listener.h"

namespace stickmesh::net {

namespace {

tl::unexpected<Error> cannot_listen(const SocketAddress& address, int error, std::string_view advice) {
  return refuse(Reason::kSystem, fmt::format("cannot listen on {}: {}{}{}", address.to_string(),
                                             std::strerror(error), advice.empty() ? "" : ": ", advice));
}

bool is_socket(const SocketAddress& address) {
  struct stat status {};
  return ::lstat(std::string(address.path()).c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
}

std::string_view advice_for(const SocketAddress& address, int error) {
  const bool file = address.family() == Family::kUnix;
  switch (error) {
    case EADDRINUSE:
      return file && !is_socket(address)
                 ? "the file is no socket; remove it, or choose another path"
                 : "another process listens there; stop it, or choose another address";
    case EADDRNOTAVAIL:
      return "no interface of this host has that address";
    case EAFNOSUPPORT:
      return "this host has that protocol turned off";
    case ENOENT:
    case ENOTDIR:
      return "create its directory first";
    case EACCES:
    case EPERM:
      return file ? "this user may not create files in that directory"
                  : "a port below 1024 needs CAP_NET_BIND_SERVICE; choose a higher one";
    case EROFS:
      return "the service may only write to /run/stickmesh and its state directory";
    default:
      return "";
  }
}

Result<UniqueFd> open_socket(const SocketAddress& address) {
  UniqueFd fd(::socket(address.raw()->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) {
    const int error = errno;
    return cannot_listen(address, error, advice_for(address, error));
  }
  return fd;
}

// Whether the file is a socket that no process listens on any more.
bool is_stale(const SocketAddress& address) {
  if (!is_socket(address)) return false;
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  return probe && ::connect(probe.get(), address.raw(), address.size()) != 0 && errno == ECONNREFUSED;
}

// 0 or the error. A UNIX socket's file is created for its owner alone, and opened to others by `give_access`.
int bind_socket(int fd, const SocketAddress& address) {
  const mode_t mask = ::umask(0177);
  const int error = ::bind(fd, address.raw(), address.size()) == 0 ? 0 : errno;
  ::umask(mask);
  return error;
}

std::optional<gid_t> find_group(const std::string& name) {
  gid_t id = 0;
  const char* const last = name.data() + name.size();
  const auto [end, error] = std::from_chars(name.data(), last, id);
  if (error == std::errc{} && end == last) return id;
  const group* const entry = ::getgrnam(name.c_str());
  if (entry == nullptr) return std::nullopt;
  return entry->gr_gid;
}

}  // namespace

Result<void> give_access(const SocketAddress& address, const ListenOptions& options) {
  const std::string path(address.path());
  if (!options.group.empty()) {
    const std::optional<gid_t> group = find_group(options.group);
    if (!group) {
      return refuse(Reason::kNotFound,
                    fmt::format("cannot listen on {}: there is no group '{}': create it, or "
                                "name another",
                                path, options.group));
    }
    if (::chown(path.c_str(), static_cast<uid_t>(-1), *group) != 0) {
      const int error = errno;
      return cannot_listen(address, error,
                           fmt::format("this user must be a member of group {}", options.group));
    }
  }
  if (::chmod(path.c_str(), options.mode) != 0) return cannot_listen(address, errno, "");
  return {};
}

Result<UniqueFd> listen_on(const SocketAddress& address, const ListenOptions& options) {
  Result<UniqueFd> socket = open_socket(address);
  if (!socket) return socket;
  const int fd = socket->get();
  const bool file = address.family() == Family::kUnix;
  // Connections of the previous process linger in TIME_WAIT and would keep the port from us for a minute.
  const int on = 1;
  if (address.is_ip()) ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);

  int error = bind_socket(fd, address);
  if (error == EADDRINUSE && file && is_stale(address)) {
    ::unlink(std::string(address.path()).c_str());
    error = bind_socket(fd, address);
  }
  if (error == 0 && file) {
    if (const Result<void> given = give_access(address, options); !given)
      return tl::unexpected(given.error());
  }
  if (error == 0 && ::listen(fd, options.backlog) != 0) error = errno;
  if (error != 0) return cannot_listen(address, error, advice_for(address, error));
  return socket;
}

}  // namespace stickmesh::net
