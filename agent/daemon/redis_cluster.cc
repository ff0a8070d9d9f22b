#include "agent/daemon/redis_cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/base/log.h"
#include "agent/base/printable.h"

namespace stickmesh::daemon {

namespace {

/// While slots move, each of them is told.
constexpr Duration kAskEvery{200};

// Where |from| says that another node is; an empty host is its own.
Result<net::SocketAddress> address_of(std::string host, std::uint16_t port, const net::SocketAddress& from) {
  if (host.empty()) {
    host = from.to_string();
    host.resize(std::min(host.rfind(':'), host.size()));
    if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  }
  auto address = net::SocketAddress::parse(redis::address_text(host, port));
  if (address && address->is_ip()) return address;
  return refuse(Reason::kRedis, fmt::format("cluster: {} calls a node {}, which cannot be dialled without a "
                                            "name server: look at its cluster-announce-ip",
                                            from.to_string(), printable(host)));
}

}  // namespace

RedisCluster::RedisCluster(net::Loop& loop, const RedisAccess& access, std::vector<net::SocketAddress> seeds,
                           std::list<RedisNode>& nodes, Make make, OnChange on_change, OnFailure on_failure)
    : loop_(loop),
      seeds_(std::move(seeds)),
      nodes_(nodes),
      make_(std::move(make)),
      on_change_(std::move(on_change)),
      on_failure_(std::move(on_failure)),
      asker_(
          loop, access, {"CLUSTER", "SLOTS"},
          [this](const redis::Reply& reply, const net::SocketAddress& from) { return take(reply, from); },
          [this](const Error& why) {
            timer_.set(loop_.now() + backoff_.next());
            on_failure_(why);
          }),
      timer_(loop, [this] { ask(); }) {}

void RedisCluster::start() {
  timer_.set(loop_.now());
}

void RedisCluster::stop() {
  timer_.stop();
  asker_.cancel();
}

void RedisCluster::look_again(const RedisNode& said) {
  if (said.ready()) first_ = said.address();
  if (!timer_.active()) timer_.set(std::max(loop_.now(), asked_ + kAskEvery));
}

// Not always the same one first, which may be cut off from the others and not know it.
void RedisCluster::ask() {
  if (asker_.busy()) return timer_.set(loop_.now() + kAskEvery);
  asked_ = loop_.now();
  std::vector<net::SocketAddress> good;
  std::vector<net::SocketAddress> doubtful;
  for (const RedisNode& node : nodes_) (node.ready() ? good : doubtful).push_back(node.address());
  if (!good.empty()) {
    const auto turn = static_cast<std::ptrdiff_t>(turn_++ % good.size());
    std::rotate(good.begin(), good.begin() + turn, good.end());
  }
  std::vector<net::SocketAddress> all;
  const auto add = [&](const net::SocketAddress& address) {
    if (std::find(all.begin(), all.end(), address) == all.end()) all.push_back(address);
  };
  if (first_) add(*first_);
  first_.reset();
  for (const auto* some : {&std::as_const(good), &seeds_, &std::as_const(doubtful)}) {
    for (const net::SocketAddress& address : *some) add(address);
  }
  asker_.ask(std::move(all));
}

Result<void> RedisCluster::take(const redis::Reply& reply, const net::SocketAddress& from) {
  const auto masters = redis::read_masters(reply);
  if (!masters) return tl::unexpected(masters.error());
  std::vector<net::SocketAddress> addresses;
  for (const redis::Master& master : *masters) {
    const auto address = address_of(master.host, master.port, from);
    if (!address) return tl::unexpected(address.error());
    addresses.push_back(*address);
  }
  backoff_.reset();
  std::vector<Share> shares;
  for (std::size_t at = 0; at < addresses.size(); ++at)
    shares.push_back({&node_at(addresses[at]), (*masters)[at].slots});
  shares_.swap(shares);
  // Now |shares| is how it was before.
  std::vector<RedisNode*> richer;
  for (const Share& now : shares_) {
    redis::SlotSet gained = now.slots;
    for (const Share& before : shares) {
      if (before.node == now.node) gained &= ~before.slots;
    }
    if (gained.any()) richer.push_back(now.node);
    for (const Share& before : shares) {
      if (before.node == now.node || (before.slots & gained).none()) continue;
      // One that has no slots any more may be gone, and what the other has of them a little older.
      now.node->mirror().take_over(share(*before.node) != nullptr ? &before.node->mirror() : nullptr);
      gained &= ~before.slots;
    }
    if (gained.any()) now.node->mirror().take_over(nullptr);
  }
  for (RedisNode& node : nodes_) {
    const Share* has = share(node);
    node.mirror().assign(has != nullptr ? has->slots : redis::SlotSet());
    node.wake();
  }
  for (RedisNode* node : richer) node->slots_gained();
  drop_idle();
  on_change_();
  return {};
}

// Those without slots: replicas by now, or gone; but one to which the first slot is moving may have to be
// given some of its entries already.
void RedisCluster::drop_idle() {
  for (auto node = nodes_.begin(); node != nodes_.end();) {
    const auto next = std::next(node);
    if (share(*node) == nullptr && (node->failing() || !node->mirror().has_adopted())) {
      node->mirror().leave();
      route(*node);
      log::notice("Redis at {} has no slots of the cluster any more", node->address().to_string());
      node->stop();
      nodes_.erase(node);
    }
    node = next;
  }
}

RedisNode& RedisCluster::node_at(const net::SocketAddress& address) {
  const auto known = std::find_if(nodes_.begin(), nodes_.end(),
                                  [&](const RedisNode& node) { return node.address() == address; });
  if (known != nodes_.end()) return *known;
  RedisNode& made = make_(address);
  made.mirror().assign({});
  made.start();
  return made;
}

void RedisCluster::route(RedisNode& from) {
  while (const redis::Mirror::Stray* stray = from.mirror().stray()) {
    // Whoever gets a slot that nobody has writes all that is in it.
    if (RedisNode* to = target(*stray, from.address())) {
      to->mirror().adopt(*stray);
      to->wake();
    }
    from.mirror().drop_stray();
  }
}

RedisNode* RedisCluster::target(const redis::Mirror::Stray& stray, const net::SocketAddress& from) {
  if (stray.once) {
    const auto address = address_of(stray.to.host, stray.to.port, from);
    if (address) return &node_at(*address);
    on_failure_(address.error());
  }
  const std::size_t slot = redis::slot_of(stray.key);
  const auto owner = std::find_if(shares_.begin(), shares_.end(),
                                  [&](const Share& share) { return share.slots.test(slot); });
  return owner == shares_.end() ? nullptr : owner->node;
}

const RedisCluster::Share* RedisCluster::share(const RedisNode& node) const {
  const auto found =
      std::find_if(shares_.begin(), shares_.end(), [&](const Share& share) { return share.node == &node; });
  return found == shares_.end() ? nullptr : &*found;
}

std::size_t RedisCluster::slots(const RedisNode& node) const {
  const Share* has = share(node);
  return has != nullptr ? has->slots.count() : 0;
}

}  // namespace stickmesh::daemon
