#include "agent/net/connection_set.h"

#include <utility>
#include <vector>

namespace stickmesh::net {

Connection& ConnectionSet::add(UniqueFd socket, const SocketAddress& peer, std::unique_ptr<Session> session,
                               Connection::OnClose on_close) {
  auto ended = [this, on_close = std::move(on_close)](Connection& connection, const Error& why) {
    const auto place = connections_.find(&connection);
    loop_.bury(std::move(place->second));
    connections_.erase(place);
    if (on_close) on_close(connection, why);
  };
  auto connection =
      std::make_unique<Connection>(loop_, std::move(socket), peer, std::move(session), std::move(ended));
  Connection& added = *connection;
  connections_.emplace(&added, std::move(connection));
  return added;
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
