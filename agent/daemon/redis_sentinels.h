#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/net/connection.h"
#include "agent/net/connector.h"
#include "agent/net/timer.h"
#include "agent/redis/session.h"

namespace stickmesh::daemon {

/// Asks Redis's sentinels who the master is: one after the other, beginning with the one that answered last.
class RedisSentinels final : private redis::SessionUser {
 public:
  /// Called once for each `ask`, from the loop: the master's address, or why nobody could tell.
  using OnAnswer = std::function<void(Result<net::SocketAddress>)>;

  RedisSentinels(net::Loop& loop, std::vector<net::SocketAddress> addresses, std::string master,
                 OnAnswer on_answer);
  ~RedisSentinels() override;

  void ask();
  /// Drops the question without its call.
  void cancel();
  bool busy() const { return left_ != 0; }

 private:
  void dial();
  void connected(Result<net::UniqueFd> socket);
  void next(const Error& why);
  void answer(Result<net::SocketAddress> answer);

  void ready(const redis::Server& server, TimePoint now) override;
  Result<void> replied(const redis::Reply& reply, TimePoint now) override;
  void settled(TimePoint /*now*/) override {}
  void ended(const Error& /*why*/, TimePoint /*now*/) override {}

  net::Loop& loop_;
  const std::vector<net::SocketAddress> addresses_;
  const std::string master_;
  const OnAnswer on_answer_;
  std::size_t at_ = 0;    ///< the one that is asked
  std::size_t left_ = 0;  ///< how many may still be asked
  net::Connector connector_;
  net::Timer patience_;
  redis::RedisSession* session_ = nullptr;
  std::unique_ptr<net::Connection> connection_;
};

}  // namespace stickmesh::daemon
