#include "agent/net/connection_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace stickmesh::net {

namespace {

// A host of IPv6 has a whole /64 to itself. UNIX sockets have no address: all of them are one host.
Bytes host_of(const SocketAddress& address) {
  const Bytes ip = address.ip();
  return ip.first(std::min<std::size_t>(ip.size(), 8));
}

}  // namespace

Connection& ConnectionSet::add(UniqueFd socket, const SocketAddress& peer, std::unique_ptr<Session> session,
                               Connection::OnClose on_close) {
  make_room(peer);
  auto ended = [this, on_close = std::move(on_close)](Connection& connection, const Error& why) {
    unanswered_.remove(&connection);
    const auto place = connections_.find(&connection);
    loop_.bury(std::move(place->second));
    connections_.erase(place);
    if (on_close) on_close(connection, why);
  };
  auto connection =
      std::make_unique<Connection>(loop_, std::move(socket), peer, std::move(session), std::move(ended));
  Connection& added = *connection;
  if (suspended_) added.suspend();
  connections_.emplace(&added, std::move(connection));
  unanswered_.push_back(&added);
  return added;
}

void ConnectionSet::make_room(const SocketAddress& newcomer) {
  unanswered_.remove_if([](const Connection* connection) { return connection->answered(); });
  const Bytes host = host_of(newcomer);
  const auto of_that_host = [&](const Connection* connection) {
    const Bytes other = host_of(connection->peer());
    return std::equal(host.begin(), host.end(), other.begin(), other.end());
  };
  const auto count = std::count_if(unanswered_.begin(), unanswered_.end(), of_that_host);
  if (static_cast<std::size_t>(count) >= limits_.of_one_host) {
    const auto oldest = std::find_if(unanswered_.begin(), unanswered_.end(), of_that_host);
    (*oldest)->close(
        {Reason::kHandshakeTimeout,
         fmt::format("gave way to another: {} connections from there wait for an answer", count)});
  } else if (unanswered_.size() >= limits_.all) {
    unanswered_.front()->close(
        {Reason::kHandshakeTimeout,
         fmt::format("gave way to another: {} connections wait for an answer", unanswered_.size())});
  }
}

void ConnectionSet::suspend() {
  suspended_ = true;
  for (auto& [key, connection] : connections_) connection->suspend();
}

void ConnectionSet::resume() {
  suspended_ = false;
  for (auto& [key, connection] : connections_) connection->resume();
}

void ConnectionSet::drop_all() {
  unanswered_.clear();
  connections_.clear();
}

void ConnectionSet::close_all(const Error& why) {
  // A copy: each one leaves the set while it closes, and may take others with it.
  std::vector<const Connection*> all;
  all.reserve(connections_.size());
  for (const auto& [key, connection] : connections_) all.push_back(key);
  for (const Connection* key : all) {
    const auto place = connections_.find(key);
    if (place != connections_.end()) place->second->close(why);
  }
}

}  // namespace stickmesh::net
