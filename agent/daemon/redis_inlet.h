#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "agent/daemon/redis_link.h"
#include "agent/net/backoff.h"
#include "agent/net/timer.h"
#include "agent/redis/intake.h"

namespace stickmesh::daemon {

/// What others write to one server for the agents: one connection hears what has changed, another reads it,
/// and all there is whenever both are new.
class RedisInlet final : private redis::SessionUser {
 public:
  using OnFailure = std::function<void(const Error& why)>;

  /// All must outlive it. |mine| says which keys the server has.
  RedisInlet(net::Loop& loop, const RedisAccess& access, redis::Intake& intake,
             std::function<bool(std::string_view key)> mine, OnFailure on_failure);

  /// With the server at |address|, until `stop`.
  void start(const net::SocketAddress& address);
  void stop();
  /// It has other keys than before.
  void read_all();
  std::string_view state() const;

 private:
  /// Whose messages the replies are.
  class Ear final : public redis::SessionUser {
   public:
    explicit Ear(RedisInlet& inlet) : inlet_(inlet) {}
    void ready(const redis::Server& server, TimePoint now) override;
    Result<void> replied(const redis::Reply& reply, TimePoint now) override;
    void settled(TimePoint now) override;
    void ended(const Error& /*why*/, TimePoint /*now*/) override {}

   private:
    RedisInlet& inlet_;
  };

  void dial();
  void failed(const Error& why);
  void hear(const std::string& announced, TimePoint now);
  void read_on(TimePoint now);

  void ready(const redis::Server& server, TimePoint now) override;
  Result<void> replied(const redis::Reply& reply, TimePoint now) override;
  void settled(TimePoint now) override;
  void ended(const Error& /*why*/, TimePoint /*now*/) override {}

  net::Loop& loop_;
  redis::Intake& intake_;
  const std::function<bool(std::string_view key)> mine_;
  const OnFailure on_failure_;
  std::optional<net::SocketAddress> address_;
  redis::Walk walk_;
  bool hears_ = false;       ///< it is subscribed
  bool asked_time_ = false;  ///< and nothing else, yet
  std::optional<store::Version> since_;
  bool reads_ = false;             ///< |walk_| has not ended yet
  bool reads_all_ = false;         ///< and is over all keys
  bool wants_all_ = true;          ///< all are to be read next
  bool connected_ = false;         ///< to read
  std::set<std::string> waiting_;  ///< keys that were announced
  net::Backoff backoff_;
  net::Timer dial_timer_;
  net::Timer ping_timer_;
  Ear ear_;
  RedisLink listening_;
  RedisLink reading_;
};

}  // namespace stickmesh::daemon
