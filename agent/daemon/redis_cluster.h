#pragma once

#include <functional>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "agent/daemon/redis_asker.h"
#include "agent/daemon/redis_node.h"
#include "agent/net/backoff.h"
#include "agent/net/timer.h"
#include "agent/redis/cluster_words.h"

namespace stickmesh::daemon {

/// Which masters a cluster has, and which slots each of them: asks when somebody says that it has changed,
/// and gives each mirror its share.
class RedisCluster {
 public:
  /// Makes the node of a master, at the end of the list.
  using Make = std::function<RedisNode&(const net::SocketAddress& address)>;
  using OnChange = std::function<void()>;
  using OnFailure = std::function<void(const Error& why)>;

  /// All must outlive it. |seeds| are asked as long as no master is known, and when none of them answers.
  RedisCluster(net::Loop& loop, const RedisAccess& access, std::vector<net::SocketAddress> seeds,
               std::list<RedisNode>& nodes, Make make, OnChange on_change, OnFailure on_failure);

  void start();
  void stop();
  /// |said| knows better, or is away.
  void look_again(const RedisNode& said);
  /// What one mirror has that belongs to another.
  void route(RedisNode& from);
  bool asking() const { return asker_.busy(); }
  std::size_t slots(const RedisNode& node) const;

 private:
  struct Share {
    RedisNode* node;
    redis::SlotSet slots;
  };

  void ask();
  Result<void> take(const redis::Reply& reply, const net::SocketAddress& from);
  RedisNode& node_at(const net::SocketAddress& address);
  RedisNode* target(const redis::Mirror::Stray& stray, const net::SocketAddress& from);
  void drop_idle();
  const Share* share(const RedisNode& node) const;

  net::Loop& loop_;
  const std::vector<net::SocketAddress> seeds_;
  std::list<RedisNode>& nodes_;
  const Make make_;
  const OnChange on_change_;
  const OnFailure on_failure_;
  std::vector<Share> shares_;
  std::optional<net::SocketAddress> first_;  ///< to be asked
  std::size_t turn_ = 0;
  TimePoint asked_{};
  net::Backoff backoff_;
  RedisAsker asker_;
  net::Timer timer_;
};

}  // namespace stickmesh::daemon
