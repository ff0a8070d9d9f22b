#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/admin/redis_source.h"
#include "agent/daemon/redis_asker.h"
#include "agent/daemon/redis_cluster.h"
#include "agent/daemon/redis_node.h"
#include "agent/redis/intake.h"
#include "agent/redis/restore.h"

namespace stickmesh::daemon {

/// The mirror in Redis, whatever stands behind `[redis] address`: one server, the master that sentinels name,
/// or the masters of a cluster.
class RedisClient final : public admin::RedisSource, private RedisNode::Owner {
 public:
  /// |addresses| are those of |config|: Redis's own, of its sentinels, or of some nodes of the cluster. |tls|
  /// is null without TLS.
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
  void flush();
  void count(std::string_view kind);
  void note(Error why, std::string_view where);
  void look_whether_restored(std::string_view why);
  void end_restore(std::string_view why);
  RedisNode& add_node(const net::SocketAddress& address);
  std::string state() const;
  std::string_view accepting() const;

  void wants_address(RedisNode& node) override;
  Result<void> check(const redis::Server& server) override;
  void failed(RedisNode& node, const Error& why) override;
  void refused(std::string_view error) override;
  void read_back(RedisNode& node) override;
  void inlet_failed(RedisNode& node, const Error& why) override;
  void settled(RedisNode& node) override;

  net::Loop& loop_;
  pipeline::Hub& hub_;
  std::vector<net::SocketAddress> addresses_;
  const RedisAccess access_;
  const RedisAccess sentinel_access_{};
  const Duration flush_interval_;
  const redis::Mirror::Options options_;
  std::optional<redis::Intake> intake_;    ///< nothing without `accept`
  std::optional<redis::Restore> restore_;  ///< while it is wanted
  std::function<void()> restored_;
  std::map<std::string, std::uint64_t> errors_;  ///< by kind
  std::string last_error_;
  std::optional<RedisAsker> sentinels_;
  std::optional<RedisCluster> cluster_;
  std::list<RedisNode> nodes_;  ///< one, but of a cluster
  net::Timer flush_timer_;
  net::Timer restore_timer_;
};

}  // namespace stickmesh::daemon
