#pragma once

#include <functional>
#include <memory>

#include "agent/daemon/redis_access.h"
#include "agent/net/connection.h"
#include "agent/net/connector.h"
#include "agent/redis/session.h"

namespace stickmesh::daemon {

inline constexpr Duration kRedisConnectTime{2000};

/// One connection with Redis at a time, with or without TLS. Whoever has it decides when to dial.
class RedisLink {
 public:
  /// Once for each `dial` that was not followed by a `drop`: it could not be connected, or has ended.
  using OnEnd = std::function<void(const Error& why)>;

  /// |access| and |user| must outlive it.
  RedisLink(net::Loop& loop, const RedisAccess& access, redis::SessionUser& user, OnEnd on_end);
  RedisLink(const RedisLink&) = delete;
  RedisLink& operator=(const RedisLink&) = delete;

  void dial(const net::SocketAddress& address, Duration patience);
  /// Ends it: what is pending is offered once more.
  void end(const Error& why);
  /// Ends it without its call, from inside of one of the session's, too.
  void drop();

  const net::SocketAddress& address() const { return address_; }
  bool connecting() const { return connector_.busy(); }
  /// Null while there is none.
  redis::RedisSession* session() const { return session_; }

 private:
  void connected(Result<net::UniqueFd> socket);
  std::unique_ptr<Session> make_session();
  std::unique_ptr<Session> protect();

  net::Loop& loop_;
  const RedisAccess& access_;
  redis::SessionUser& user_;
  const OnEnd on_end_;
  net::SocketAddress address_;
  net::Connector connector_;
  redis::RedisSession* session_ = nullptr;       ///< of |connection_|
  std::unique_ptr<net::Connection> connection_;  ///< last: it ends within the others
};

}  // namespace stickmesh::daemon
