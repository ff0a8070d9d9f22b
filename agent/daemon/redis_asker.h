#pragma once

#include <functional>
#include <string>
#include <vector>

#include "agent/daemon/redis_link.h"
#include "agent/net/timer.h"

namespace stickmesh::daemon {

/// Asks several servers one question, one after the other, until one of them has a good answer: sentinels who
/// the master is, nodes of a cluster who has which slots.
class RedisAsker final : private redis::SessionUser {
 public:
  /// Of the server at |from|. An error has the next one asked.
  using Take = std::function<Result<void>(const redis::Reply& reply, const net::SocketAddress& from)>;
  /// Nobody had a good answer; this is the last that was said.
  using OnFailure = std::function<void(const Error& why)>;

  /// Both are called from the loop, one of them once for each `ask`.
  RedisAsker(net::Loop& loop, const RedisAccess& access, std::vector<std::string> question, Take take,
             OnFailure on_failure);
  ~RedisAsker() override;

  /// In this order; one address at least.
  void ask(std::vector<net::SocketAddress> addresses);
  /// Drops the question without its call.
  void cancel();
  bool busy() const { return left_ != 0; }

 private:
  void dial();
  void next(const Error& why);

  void ready(const redis::Server& server, TimePoint now) override;
  Result<void> replied(const redis::Reply& reply, TimePoint now) override;
  void settled(TimePoint /*now*/) override {}
  void ended(const Error& /*why*/, TimePoint /*now*/) override {}

  net::Loop& loop_;
  const std::vector<std::string> question_;
  const Take take_;
  const OnFailure on_failure_;
  std::vector<net::SocketAddress> addresses_;
  std::size_t at_ = 0;    ///< the one that is asked
  std::size_t left_ = 0;  ///< how many may still be asked
  RedisLink link_;
  net::Timer patience_;
};

}  // namespace stickmesh::daemon
