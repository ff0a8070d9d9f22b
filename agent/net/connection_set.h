#pragma once

#include <cstddef>
#include <memory>
#include <unordered_map>

#include "agent/net/connection.h"

namespace stickmesh::net {

/// Owns connections, such as those of a listener, until they end.
class ConnectionSet {
 public:
  explicit ConnectionSet(Loop& loop) : loop_(loop) {}
  ConnectionSet(const ConnectionSet&) = delete;
  ConnectionSet& operator=(const ConnectionSet&) = delete;

  /// |on_close| is called once, with the connection already out of the set.
  Connection& add(UniqueFd socket, const SocketAddress& peer, std::unique_ptr<Session> session,
                  Connection::OnClose on_close = {});
  std::size_t size() const { return connections_.size(); }
  void close_all(const Error& why);

 private:
  Loop& loop_;
  std::unordered_map<const Connection*, std::unique_ptr<Connection>> connections_;
};

}  // namespace stickmesh::net
