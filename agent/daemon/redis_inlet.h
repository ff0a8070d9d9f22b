#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

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

  /// All must outlive it. |mine| says which keys the server has. |on_failure| also hears of keys that it has
  /// not, all the same.
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
  void ping();
  redis::Intake::Reader reader();
  void moved(const std::string& key, const redis::Reply& error);
  void read_on(TimePoint now);
  void read(std::vector<std::string> keys, TimePoint now);
  void ask_time(TimePoint now);
  Result<void> take_time(const redis::Reply& reply, TimePoint now);

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
  bool hears_ = false;      ///< it is subscribed
  bool connected_ = false;  ///< to read
  bool pinged_ = false;     ///< the next reply is that to it
  enum class Work : std::uint8_t {
    kNothing,
    kSince,  ///< the time before all keys are read
    kAll,
    kUntil,  ///< and after it
    kSome,
  };
  Work work_ = Work::kNothing;
  bool wants_all_ = true;  ///< all are to be read next
  redis::Intake::Sweep times_;
  std::optional<redis::Intake::Sweep> sweep_;  ///< what all have not shown is read, too
  std::set<std::string> waiting_;              ///< keys that were announced
  std::set<std::string> moved_;                ///< those that this server did not have
  net::Backoff backoff_;
  net::Timer dial_timer_;
  net::Timer ping_timer_;
  net::Timer moved_timer_;
  Ear ear_;
  RedisLink listening_;
  RedisLink reading_;
};

}  // namespace stickmesh::daemon
