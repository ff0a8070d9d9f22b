#include "agent/net/systemd.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "agent/base/log.h"
#include "agent/base/printable.h"

namespace stickmesh::net {

namespace {

constexpr int kFirstDescriptor = 3;
/// More than can be open: the first that is not ends the search.
constexpr std::uint64_t kMostDescriptors = 1U << 30U;

/// Reads a variable and removes it; nothing when it is unset.
std::optional<std::string> take(const char* variable) {
  const char* const value = std::getenv(variable);
  if (value == nullptr) return std::nullopt;
  std::string text(value);
  ::unsetenv(variable);
  return text;
}

Result<std::uint64_t> number_of(std::string_view variable, std::string_view text, std::uint64_t at_least) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < at_least) {
    return refuse(Reason::kSystem,
                  fmt::format("the service manager has set {}={}, which is no number from {}", variable,
                              printable(text), at_least));
  }
  return number;
}

/// Whether a variable about a process is about this one, which it is, too, when it is unset.
Result<bool> is_for_this_process(const char* variable, const std::optional<std::string>& pid) {
  if (!pid) return true;
  const auto number = number_of(variable, *pid, 1);
  if (!number) return tl::unexpected(number.error());
  return *number == static_cast<std::uint64_t>(::getpid());
}

int option_of(int socket, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(socket, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

bool listens(int descriptor) {
  const int domain = option_of(descriptor, SO_DOMAIN);
  return (domain == AF_INET || domain == AF_INET6 || domain == AF_UNIX) &&
         option_of(descriptor, SO_TYPE) == SOCK_STREAM && option_of(descriptor, SO_ACCEPTCONN) == 1;
}

}  // namespace

Notifier::Notifier() {
  const char* const target = std::getenv("NOTIFY_SOCKET");
  if (target == nullptr || *target == '\0') return;
  path_ = target;
  socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

Result<void> Notifier::send(std::string_view state) const {
  if (path_.empty()) return {};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if ((path_.front() != '/' && path_.front() != '@') || path_.size() >= sizeof address.sun_path) {
    return refuse(Reason::kSystem, fmt::format("NOTIFY_SOCKET={} is no UNIX socket", path_));
  }
  path_.copy(address.sun_path, path_.size());
  // Abstract, and unlike HAProxy's names not padded: the length counts.
  if (path_.front() == '@') address.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path_.size());
  // It must not be possible to hold up the event loop by not reading.
  if (::sendto(socket_.get(), state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
               reinterpret_cast<const sockaddr*>(&address), size) < 0) {
    const int error = errno;
    return refuse(Reason::kSystem,
                  fmt::format("cannot notify systemd on {}: {}", path_, std::strerror(error)));
  }
  return {};
}

Result<std::optional<Duration>> take_watchdog() {
  const auto text = take("WATCHDOG_USEC");
  const auto pid = take("WATCHDOG_PID");
  if (!text) return std::nullopt;
  const auto meant = is_for_this_process("WATCHDOG_PID", pid);
  if (!meant) return tl::unexpected(meant.error());
  if (!*meant) return std::nullopt;
  const auto interval = number_of("WATCHDOG_USEC", *text, 1);
  if (!interval) return tl::unexpected(interval.error());
  ::setenv("WATCHDOG_USEC", text->c_str(), 1);
  return std::max(Duration(1), Duration(static_cast<Duration::rep>(*interval / 1000)));
}

Result<std::vector<UniqueFd>> take_activated_sockets() {
  const auto pid = take("LISTEN_PID");
  const auto promised = take("LISTEN_FDS");
  take("LISTEN_FDNAMES");
  if (!pid || !promised) return {};
  const auto meant = is_for_this_process("LISTEN_PID", pid);
  if (!meant) return tl::unexpected(meant.error());
  if (!*meant) return {};
  const auto count = number_of("LISTEN_FDS", *promised, 0);
  if (!count) return tl::unexpected(count.error());

  std::vector<UniqueFd> sockets;
  const std::uint64_t end = kFirstDescriptor + std::min<std::uint64_t>(*count, kMostDescriptors);
  for (int number = kFirstDescriptor; static_cast<std::uint64_t>(number) < end; ++number) {
    const int flags = ::fcntl(number, F_GETFL);
    if (flags < 0) {
      return refuse(Reason::kSystem,
                    fmt::format("the service manager has set LISTEN_FDS={}, but descriptor {} is not open: "
                                "start the agent by its socket unit, or without that variable",
                                *count, number));
    }
    UniqueFd socket(number);
    if (!listens(number)) {
      log::warning(
          "descriptor {} of the service manager is closed: it is no listening stream socket; the socket unit "
          "needs ListenStream= and Accept=no",
          number);
      continue;
    }
    ::fcntl(number, F_SETFL, flags | O_NONBLOCK);
    ::fcntl(number, F_SETFD, FD_CLOEXEC);
    sockets.push_back(std::move(socket));
  }
  return sockets;
}

}  // namespace stickmesh::net
