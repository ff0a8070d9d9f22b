#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <unordered_map>

#include "agent/net/connection.h"

namespace stickmesh::net {

/// How many connections of a set may be without an answer yet (`Connection::answered`). The one that has
/// waited longest gives way to one more: whoever has something to say does so within a round trip, so that
/// thousands of connections that say nothing cost neither descriptors nor others' sessions.
struct UnansweredLimits {
  std::size_t all = 256;
  /// From one address, or one /64 of IPv6. Instances behind one address may all dial anew at the same moment.
  std::size_t of_one_host = 64;
};

/// Owns connections, such as those of a listener, until they end.
class ConnectionSet {
 public:
  explicit ConnectionSet(Loop& loop, UnansweredLimits limits = {}) : loop_(loop), limits_(limits) {}
  ConnectionSet(const ConnectionSet&) = delete;
  ConnectionSet& operator=(const ConnectionSet&) = delete;

  /// |on_close| is called once, with the connection already out of the set.
  Connection& add(UniqueFd socket, const SocketAddress& peer, std::unique_ptr<Session> session,
                  Connection::OnClose on_close = {});
  std::size_t size() const { return connections_.size(); }
  void close_all(const Error& why);
  /// Lets go of all of them, without a word to the other sides: other processes have the sockets, too.
  /// |on_close| is not called. Not to be called by a connection.
  void drop_all();
  /// As `Connection::suspend` and `resume`, of all of them and of those that are added meanwhile.
  void suspend();
  void resume();
  bool suspended() const { return suspended_; }

 private:
  void make_room(const SocketAddress& newcomer);

  Loop& loop_;
  UnansweredLimits limits_;
  bool suspended_ = false;
  std::unordered_map<const Connection*, std::unique_ptr<Connection>> connections_;
  std::list<Connection*> unanswered_;  ///< and some that were answered meanwhile; the oldest first
};

}  // namespace stickmesh::net
