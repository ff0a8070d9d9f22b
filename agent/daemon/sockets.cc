#include "agent/daemon/sockets.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "agent/base/log.h"
#include "agent/net/socket_address.h"

namespace stickmesh::daemon {

namespace {

Result<void> give_access(bool allowed, const net::SocketAddress& address, const net::ListenOptions& options) {
  if (!allowed || address.family() != net::Family::kUnix) return {};
  return net::give_access(address, options);
}

// systemd's abstract names are as long as they are written, HAProxy's abns@ are filled up with zeros.
std::string_view advice_for(const net::SocketAddress& address) {
  const bool unlike_haproxy = address.family() == net::Family::kAbstract &&
                              !(net::SocketAddress::parse(address.to_string()) == address);
  return unlike_haproxy ? "HAProxy cannot connect to such a name: use a path or a port in the socket unit"
                        : "add this address to a `listen` and reload, or remove it from the socket unit";
}

}  // namespace

void Sockets::inherit(std::vector<net::UniqueFd> sockets, std::size_t activated) {
  inherited_ = std::move(sockets);
  for (std::size_t index = 0; index < std::min(activated, inherited_.size()); ++index)
    activated_.push_back(inherited_[index].get());
}

bool Sockets::activated(int socket) const {
  return std::find(activated_.begin(), activated_.end(), socket) != activated_.end();
}

Result<net::UniqueFd> Sockets::open(std::string_view key, const std::string& text,
                                    const net::ListenOptions& options) {
  const auto named = [key](Error error) {
    error.detail = fmt::format("{}: {}", key, error.detail);
    return tl::unexpected(std::move(error));
  };
  const auto address = net::SocketAddress::resolve(text);
  if (!address) return named(address.error());
  const auto same = std::find_if(inherited_.begin(), inherited_.end(), [&](const net::UniqueFd& socket) {
    return net::SocketAddress::local(socket.get()) == *address;
  });
  if (same != inherited_.end()) {
    if (auto given = give_access(!activated(same->get()), *address, options); !given)
      return named(given.error());
    net::UniqueFd socket = std::move(*same);
    inherited_.erase(same);
    return socket;
  }
  auto opened = net::listen_on(*address, options);
  if (opened) return opened;
  for (const net::UniqueFd& other : inherited_) {
    const net::SocketAddress held = net::SocketAddress::local(other.get());
    if (!address->is_ip() || held.port() != address->port()) continue;
    opened.error().detail +=
        activated(other.get())
            ? fmt::format(" (the service manager has given {}: write the same in both)", held.to_string())
            : fmt::format(" (this agent itself has {} until it is restarted)", held.to_string());
  }
  return named(opened.error());
}

void Sockets::close_rest() {
  for (const net::UniqueFd& left : inherited_) {
    const net::SocketAddress address = net::SocketAddress::local(left.get());
    if (activated(left.get())) {
      log::notice("nobody is accepted on {}, which the service manager has opened: {}", address.to_string(),
                  advice_for(address));
      continue;
    }
    log::notice("nobody is accepted on {} any more", address.to_string());
    if (address.family() == net::Family::kUnix) ::unlink(std::string(address.path()).c_str());
  }
  std::erase_if(inherited_, [this](const net::UniqueFd& left) { return !activated(left.get()); });
}

void Sockets::add_unused(std::vector<int>& sockets) const {
  for (const net::UniqueFd& left : inherited_) sockets.push_back(left.get());
}

}  // namespace stickmesh::daemon
