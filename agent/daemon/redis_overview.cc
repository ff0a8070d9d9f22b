// What `show redis` has to say.

#include <fmt/format.h>

#include <algorithm>

#include "agent/daemon/redis_client.h"

namespace stickmesh::daemon {

std::string RedisClient::state() const {
  if (!cluster_) {
    if (sentinels_ && sentinels_->busy()) return "asking the sentinels";
    return std::string(nodes_.front().state());
  }
  const auto ready =
      std::count_if(nodes_.begin(), nodes_.end(), [](const RedisNode& n) { return n.ready(); });
  if (restore_) return "restoring";
  if (nodes_.empty()) return cluster_->asking() ? "asking the cluster" : "away: it is asked again soon";
  if (ready == static_cast<std::ptrdiff_t>(nodes_.size())) return "connected";
  return fmt::format("connected with {} of {} masters", ready, nodes_.size());
}

// What is the worst of them.
std::string_view RedisClient::accepting() const {
  for (const RedisNode& node : nodes_) {
    if (node.inlet()->state() != "subscribed") return node.inlet()->state();
  }
  return nodes_.empty() ? "away" : "subscribed";
}

admin::RedisOverview RedisClient::overview(TimePoint now) const {
  // A change is of one master's, and each mirror reads them all: together they are as far behind as the last.
  redis::Mirror::Standing all;
  std::uint64_t in_flight = 0;
  std::uint64_t connections = 0;
  admin::RedisOverview overview;
  for (const RedisNode& node : nodes_) {
    const redis::Mirror::Standing standing = node.mirror().standing(now);
    all.behind = std::max(all.behind, standing.behind);
    all.contributions_behind = std::max(all.contributions_behind, standing.contributions_behind);
    all.behind_for = std::max(all.behind_for, standing.behind_for);
    all.written += standing.written;
    all.removed += standing.removed;
    all.refused += standing.refused;
    all.rewritten += standing.rewritten;
    all.per_second += standing.per_second;
    in_flight += node.in_flight();
    connections += node.connections();
    if (!cluster_) continue;
    overview.masters.push_back({node.address().to_string(), std::string(node.state()), cluster_->slots(node),
                                node.in_flight(), standing.behind, standing.contributions_behind,
                                standing.behind_for, standing.written});
  }
  const auto line = [&](const char* name, const auto& value) {
    overview.lines.emplace_back(name, fmt::format("{}", value));
  };
  const RedisNode* only = cluster_ ? nullptr : &nodes_.front();
  line("Address",
       only != nullptr ? only->address().to_string() : fmt::format("cluster of {}", nodes_.size()));
  line("State", state());
  line("Server", only != nullptr && only->ready()
                     ? fmt::format("{} {}", only->server().version, only->server().role)
                     : std::string("-"));
  line("In_flight", in_flight);
  line("Behind", all.behind);
  line("Contributions_behind", all.contributions_behind);
  line("Behind_ms", all.behind_for.count());
  line("Writes_per_second", all.per_second);
  line("Written_total", all.written);
  line("Removed_total", all.removed);
  line("Refused_total", all.refused);
  line("Written_anew_total", all.rewritten);
  line("Connections_total", connections);
  if (intake_) {
    line("Accept", accepting());
    line("Accepted_total", intake_->accepted());
    line("Accept_refused_total", intake_->refused());
  }
  line("Last_error", last_error_.empty() ? std::string("-") : last_error_);
  overview.errors.assign(errors_.begin(), errors_.end());
  return overview;
}

}  // namespace stickmesh::daemon
