#include "agent/daemon/redis_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/base/log.h"
#include "agent/base/printable.h"
#include "agent/redis/sentinel_words.h"
#include "agent/redis/words.h"

namespace stickmesh::daemon {

namespace {

/// The server chooses the words of its errors.
constexpr std::size_t kMaxKinds = 64;
constexpr std::size_t kMaxKind = 32;

// Which of them a server's certificate may carry.
std::vector<std::string> hosts_of(const config::Redis& config) {
  if (!config.sentinel.empty()) return {config.sentinel};
  std::vector<std::string> hosts;
  for (const config::Address& address : config.address) hosts.push_back(address.host);
  return hosts;
}

}  // namespace

RedisClient::RedisClient(net::Loop& loop, pipeline::Hub& hub, const config::Redis& config,
                         std::vector<net::SocketAddress> addresses, std::string password,
                         std::unique_ptr<tls::Context> tls)
    : loop_(loop),
      hub_(hub),
      addresses_(std::move(addresses)),
      access_{{config.user, std::move(password), config.db, "stickmesh-" + hub.setup().agent_name},
              std::move(tls),
              hosts_of(config)},
      flush_interval_(config.flush_interval),
      options_{config.prefix, config.restore, config.publish},
      flush_timer_(loop, [this] { flush(); }),
      restore_timer_(loop, [this] {
        for (RedisNode& node : nodes_) node.give_up_reading("it was not read in time");
        end_restore("it took too long");
      }) {
  // A cluster's mirrors are made once its masters are known, and what is heard until then is theirs, too.
  if (options_.contributions) hub_.keep_heard();
  if (!config.accept.empty()) intake_.emplace(hub, config.prefix, config.accept);
  if (config.cluster) {
    cluster_.emplace(
        loop_, access_, addresses_, nodes_,
        [this](const net::SocketAddress& address) -> RedisNode& { return add_node(address); },
        [this] { look_whether_restored({}); },
        [this](const Error& why) {
          note(why, "Redis's cluster");
          if (nodes_.empty() && why.reason == Reason::kConnectFailed) end_restore("it cannot be read");
        });
    return;
  }
  add_node(addresses_.front());
  if (config.sentinel.empty()) return;
  sentinels_.emplace(
      loop, sentinel_access_,
      std::vector<std::string>{"SENTINEL", "get-master-addr-by-name", config.sentinel},
      [this, name = config.sentinel](const redis::Reply& reply,
                                     const net::SocketAddress& from) -> Result<void> {
        const auto master = redis::read_master(reply, name);
        if (!master) return tl::unexpected(master.error());
        const auto address = net::SocketAddress::parse(*master);
        if (!address)
          return refuse(Reason::kRedis, fmt::format("sentinel: the master's address {} is none that can be "
                                                    "dialled without a name server",
                                                    printable(*master)));
        // It is asked first the next time.
        const auto at = std::find(addresses_.begin(), addresses_.end(), from);
        std::rotate(addresses_.begin(), at, addresses_.end());
        nodes_.front().dial(*address);
        return {};
      },
      [this](const Error& why) { nodes_.front().no_address(why); });
}

RedisNode& RedisClient::add_node(const net::SocketAddress& address) {
  RedisNode::Owner& owner = *this;
  nodes_.emplace_back(loop_, hub_, access_, options_, intake_ ? &*intake_ : nullptr, address, owner);
  if (restore_) nodes_.back().read_first(restore_->walk());
  return nodes_.back();
}

RedisClient::~RedisClient() {
  stop();
}

void RedisClient::restore_first(Duration patience, std::function<void()> done) {
  restore_.emplace(hub_, options_.prefix, loop_.now());
  restored_ = std::move(done);
  for (RedisNode& node : nodes_) node.read_first(restore_->walk());
  hub_.set_restoring(true);
  restore_timer_.set(loop_.now() + patience);
}

// Of a cluster, once each master's part is there, or cannot be had.
void RedisClient::look_whether_restored(std::string_view why) {
  const bool reads =
      std::any_of(nodes_.begin(), nodes_.end(), [](const RedisNode& node) { return node.reads(); });
  if (!reads && !nodes_.empty()) end_restore(why);
}

void RedisClient::end_restore(std::string_view why) {
  if (!restore_) return;
  const auto [restored, damaged] = restore_->finish();
  log::notice("Redis: {} contributions restored; {} had expired, {} were left out, {} were damaged{}{}",
              restored.restored, restored.expired, restored.left_out, damaged, why.empty() ? "" : "; ", why);
  restore_.reset();
  hub_.set_restoring(false);
  hub_.wake();
  restore_timer_.stop();
  std::exchange(restored_, {})();
}

void RedisClient::start() {
  if (cluster_) cluster_->start();
  for (RedisNode& node : nodes_) node.start();
  flush_timer_.set(loop_.now());
}

void RedisClient::stop() {
  if (sentinels_) sentinels_->cancel();
  if (cluster_) cluster_->stop();
  flush_timer_.stop();
  restore_timer_.stop();
  for (RedisNode& node : nodes_) node.stop();
}

void RedisClient::wants_address(RedisNode& node) {
  if (!sentinels_) return node.dial(node.address());
  sentinels_->ask(addresses_);
}

Result<void> RedisClient::check(const redis::Server& server) {
  // During a failover the one that was the master before may still be named.
  if ((!sentinels_ && !cluster_) || server.role == "master") return {};
  return refuse(Reason::kRedis, fmt::format("READONLY: it is a {}, not the master", server.role));
}

void RedisClient::count(std::string_view kind) {
  const std::string name = readable(kind, kMaxKind);
  ++errors_[errors_.size() < kMaxKinds || errors_.contains(name) ? name : std::string("other")];
}

void RedisClient::note(Error why, std::string_view where) {
  count(why.reason == Reason::kRedis ? redis::kind_of(why.detail) : reason_name(why.reason));
  if (!cluster_) why.detail = redis::explain_to_one(why.detail);
  last_error_ = to_string(why);
  hub_.errors().record(why, std::string(where), loop_.now());
}

void RedisClient::failed(RedisNode& node, const Error& why) {
  note(why, fmt::format("Redis at {}", node.address().to_string()));
  if (cluster_) cluster_->look_again(node);
  // One that is just loading, or slow, may still be there in time.
  const bool may_come = why.reason == Reason::kRedis ? redis::kind_of(why.detail) == "LOADING"
                                                     : why.reason != Reason::kConnectFailed;
  if (may_come || !restore_) return;
  node.give_up_reading("it cannot be read");
  look_whether_restored("it cannot be read");
}

void RedisClient::inlet_failed(RedisNode& node, const Error& why) {
  note(why, fmt::format("Redis at {}, accept", node.address().to_string()));
  if (cluster_) cluster_->look_again(node);
}

void RedisClient::refused(std::string_view error) {
  count(redis::kind_of(error));
  last_error_ = redis::explain(error);
}

void RedisClient::read_back(RedisNode& /*node*/) {
  look_whether_restored({});
}

void RedisClient::settled(RedisNode& node) {
  if (!cluster_) return;
  cluster_->route(node);
  if (node.mirror().misplaced()) cluster_->look_again(node);
}

void RedisClient::flush() {
  for (RedisNode& node : nodes_) {
    node.flush();
    if (cluster_) cluster_->route(node);
  }
  flush_timer_.set(loop_.now() + flush_interval_);
}

}  // namespace stickmesh::daemon
