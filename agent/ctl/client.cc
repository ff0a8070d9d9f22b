#include "agent/ctl/client.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace stickmesh::ctl {

namespace {

class Socket {
 public:
  Socket() : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

std::string why_not(const std::string& path, int error) {
  switch (error) {
    case ENOENT:
      return fmt::format("there is no socket {}: is stickmeshd running? -s names another socket", path);
    case ECONNREFUSED:
      return fmt::format("nobody answers on {}: stickmeshd is not running", path);
    case EACCES:
    case EPERM:
      return fmt::format("permission denied on {}: run as root or be in group stickmesh", path);
    default:
      return fmt::format("cannot connect to {}: {}", path, std::strerror(error));
  }
}

// An agent that refuses the line closes early, and what it said of it can still be read: so no error here.
void send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (size < 0 && errno != EINTR) return;
    if (size > 0) text.remove_prefix(static_cast<std::size_t>(size));
  }
}

}  // namespace

Result<void> ask(const std::string& path, std::string_view line,
                 const std::function<void(std::string_view)>& piece) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return refuse(Reason::kConnectFailed, fmt::format("'{}' is no path of a socket", path));
  }
  path.copy(address.sun_path, path.size());

  const Socket socket;
  if (socket.get() < 0 ||
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return refuse(Reason::kConnectFailed, why_not(path, errno));
  }
  send_all(socket.get(), std::string(line) + '\n');
  for (;;) {
    char buffer[65536];
    const ssize_t size = ::recv(socket.get(), buffer, sizeof buffer, 0);
    if (size == 0) return {};
    if (size > 0) {
      piece({buffer, static_cast<std::size_t>(size)});
    } else if (const int error = errno; error != EINTR) {
      return refuse(Reason::kConnectionLost, fmt::format("lost the agent: {}", std::strerror(error)));
    }
  }
}

}  // namespace stickmesh::ctl
