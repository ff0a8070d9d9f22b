#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/admin/redis_source.h"
#include "agent/config/config.h"
#include "agent/daemon/redis_sentinels.h"
#include "agent/net/backoff.h"
#include "agent/net/connection.h"
#include "agent/net/connector.h"
#include "agent/net/timer.h"
#include "agent/pipeline/hub.h"
#include "agent/redis/mirror.h"
#include "agent/redis/restore.h"
#include "agent/redis/session.h"
#include "agent/tls/context.h"
#include "agent/tls/secure_session.h"

namespace stickmesh::daemon {

/// The password of `[redis]`: of its file, else of the environment; empty without both.
Result<std::string> redis_password(const config::Redis& config);

/// Keeps a connection with Redis and the mirror at work: dials when there is none, less and less often while
/// it fails.
class RedisClient final : public admin::RedisSource, private redis::SessionUser {
 public:
  /// |addresses| are those of |config|: Redis's own, or of its sentinels. |tls| is null without TLS.
  RedisClient(net::Loop& loop, pipeline::Hub& hub, const config::Redis& config,
              std::vector<net::SocketAddress> addresses, std::string password,
              std::unique_ptr<tls::Context> tls);
  ~RedisClient() override;

  void start();
  /// Before `start`: what Redis has kept is read back first. |done| is called, from the loop, once that is
  /// over or cannot be done within |patience|.
  void restore_first(Duration patience, std::function<void()> done);
  /// Another process writes from now on, or this one ends.
  void stop();

  admin::RedisOverview overview(TimePoint now) const override;

 private:
  void dial();
  void connected(Result<net::UniqueFd> socket);
  std::unique_ptr<Session> make_session();
  std::unique_ptr<Session> protect();
  void flush();
  void fill();
  void failed(const Error& why, TimePoint now);
  void count(std::string_view kind);
  void end_restore(std::string_view why);

  std::string_view state() const;
  void begin_mirror(TimePoint now);
  void ready(const redis::Server& server, TimePoint now) override;
  Result<void> replied(const redis::Reply& reply, TimePoint now) override;
  void settled(TimePoint now) override;
  void ended(const Error& why, TimePoint now) override;

  net::Loop& loop_;
  pipeline::Hub& hub_;
  net::SocketAddress address_;  ///< with sentinels, of the last master that they have named
  const std::string host_;      ///< which its certificate must carry
  const std::unique_ptr<tls::Context> tls_;
  const Duration flush_interval_;
  redis::Login login_;
  redis::Mirror mirror_;
  const std::string prefix_;
  std::optional<redis::Restore> restore_;  ///< while it is wanted
  std::function<void()> restored_;
  redis::Server server_;
  bool stopped_ = false;
  bool ready_ = false;
  bool mirroring_ = false;  ///< of the session, the replies are the mirror's
  TimePoint ready_since_{};
  std::uint64_t connections_ = 0;
  net::Backoff backoff_;
  std::map<std::string, std::uint64_t> errors_;  ///< by kind
  std::string last_error_;
  std::optional<RedisSentinels> sentinels_;
  net::Connector connector_;
  net::Timer dial_timer_;
  net::Timer flush_timer_;
  net::Timer restore_timer_;
  net::Deferred slice_;
  redis::RedisSession* session_ = nullptr;       ///< of |connection_|
  std::unique_ptr<net::Connection> connection_;  ///< last: it ends within the others
};

}  // namespace stickmesh::daemon
