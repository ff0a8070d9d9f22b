#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error_log.h"
#include "agent/pipeline/hub.h"
#include "agent/pipeline/peer_link.h"
#include "agent/pipeline/registry.h"

namespace stickmesh::sim {

inline constexpr const char* kAgentName = "agent-1";

/// One life of the agent, without sockets: everything but its config and its loop. The only file of the
/// simulator that knows how the agent is put together.
class Agent {
 public:
  Agent(const std::vector<std::string>& instances, std::uint64_t pid)
      : rules_({{pipeline::Pattern("*"), pipeline::Pattern("*.total")}}, {"stickmesh", "limits"}),
        registry_(rules_, std::size_t{1} << 28U, 16, 42),
        hub_(setup(instances, pid), registry_, errors_) {}

  std::uint64_t pid() const { return hub_.setup().pid; }

  std::unique_ptr<Session> accept(TimePoint now) { return hub_.accept({"127.0.0.1:5000", "127.0.0.1"}, now); }
  std::optional<TimePoint> run(TimePoint now) { return hub_.run(now); }

  /// Whether it has all that this instance has.
  bool synchronised(std::string_view instance) {
    const pipeline::Peer* peer = find(instance);
    return peer->link != nullptr && peer->link->synchronised();
  }
  const store::Table* table(std::string_view name) {
    const pipeline::TableRecord* record = registry_.find(name);
    return record == nullptr ? nullptr : record->table.get();
  }
  std::optional<store::OriginId> origin(std::string_view instance) const {
    return registry_.origins().find(instance);
  }

 private:
  static pipeline::HubSetup setup(const std::vector<std::string>& instances, std::uint64_t pid) {
    pipeline::HubSetup setup;
    setup.agent_name = kAgentName;
    setup.config_file = "stickmesh.toml";
    setup.pid = pid;
    for (const std::string& name : instances)
      setup.peers.push_back({name, pipeline::PeerKind::kHaproxy, {}, {}, 1});
    setup.allowed_from = [](const pipeline::Source&) { return true; };
    return setup;
  }
  const pipeline::Peer* find(std::string_view instance) {
    for (const pipeline::Peer& peer : hub_.peers()) {
      if (peer.setup.name == instance) return &peer;
    }
    return nullptr;
  }

  ErrorLog errors_;
  pipeline::Rules rules_;
  pipeline::Registry registry_;
  pipeline::Hub hub_;
};

}  // namespace stickmesh::sim
