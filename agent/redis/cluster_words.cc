#include "agent/redis/cluster_words.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/redis/number.h"
#include "agent/redis/words.h"

namespace stickmesh::redis {

namespace {

/// More than a cluster of Redis has: each has a connection.
constexpr std::size_t kMaxMasters = 1000;

bool is_number(const Reply& reply, std::int64_t limit) {
  return reply.type == Reply::Type::kNumber && reply.number >= 0 && reply.number < limit;
}

// A node may be told by a host's name, and then has its address beside it.
std::string host_of(const Reply& node) {
  constexpr std::size_t kMetadata = 3;
  if (node.list.size() > kMetadata) {
    const std::vector<Reply>& metadata = node.list[kMetadata].list;
    for (std::size_t at = 0; at + 1 < metadata.size(); at += 2) {
      if (metadata[at].text == "ip") return metadata[at + 1].text;
    }
  }
  return node.list[0].text;
}

tl::unexpected<Error> unreadable() {
  return refuse(Reason::kRedis, "protocol: its answer to CLUSTER SLOTS is no list of slots and nodes");
}

}  // namespace

std::string address_text(std::string_view host, std::uint16_t port) {
  const bool six = host.find(':') != std::string_view::npos;
  return fmt::format("{}{}{}:{}", six ? "[" : "", host, six ? "]" : "", port);
}

Result<std::vector<Master>> read_masters(const Reply& reply) {
  if (reply.error()) {
    const bool none = reply.text.find("cluster support disabled") != std::string::npos;
    return refuse(Reason::kRedis, none ? "cluster: it is not part of a cluster: set redis.cluster = false"
                                       : explain(reply.text));
  }
  if (reply.type != Reply::Type::kList) return unreadable();
  std::vector<Master> masters;
  SlotSet given;
  for (const Reply& range : reply.list) {
    if (range.list.size() < 3) return unreadable();
    const Reply& first = range.list[0];
    const Reply& last = range.list[1];
    const Reply& node = range.list[2];
    if (!is_number(first, kSlots) || !is_number(last, kSlots) || first.number > last.number)
      return unreadable();
    if (node.list.size() < 2 || !is_number(node.list[1], 65536)) return unreadable();
    const std::string host = host_of(node);
    const auto port = static_cast<std::uint16_t>(node.list[1].number);
    if (host == "?" || port == 0) continue;  // it has not heard yet who has them
    auto master = std::find_if(masters.begin(), masters.end(),
                               [&](const Master& known) { return known.host == host && known.port == port; });
    if (master == masters.end()) {
      if (masters.size() == kMaxMasters)
        return refuse(Reason::kRedis, fmt::format("cluster: it has more than {} masters", kMaxMasters));
      masters.push_back({host, port, {}});
      master = masters.end() - 1;
    }
    for (std::int64_t number = first.number; number <= last.number; ++number) {
      const auto slot = static_cast<std::size_t>(number);
      if (given.test(slot)) return unreadable();
      given.set(slot);
      master->slots.set(slot);
    }
  }
  if (masters.empty())
    return refuse(Reason::kRedis, "CLUSTERDOWN: no node of the cluster has slots: create it");
  return masters;
}

std::optional<Redirection> read_redirection(std::string_view error) {
  const std::string_view kind = kind_of(error);
  if (kind != "MOVED" && kind != "ASK") return std::nullopt;
  // KIND SLOT HOST:PORT
  const std::string_view where = error.substr(error.rfind(' ') + 1);
  const std::size_t colon = where.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = read_number<std::uint16_t>(where.substr(colon + 1));
  if (!port || *port == 0) return std::nullopt;
  return Redirection{kind == "ASK", std::string(where.substr(0, colon)), *port};
}

}  // namespace stickmesh::redis
