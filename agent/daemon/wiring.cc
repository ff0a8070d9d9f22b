#include "agent/daemon/wiring.h"

#include <unistd.h>

#include <algorithm>

#include "agent/daemon/source.h"
#include "agent/hooks/hooks.h"

namespace stickmesh::daemon {

pipeline::Rules rules_of(const config::Config& config) {
  std::vector<pipeline::AggregateRule> aggregates;
  for (const config::Aggregate& rule : config.aggregate) {
    aggregates.push_back({pipeline::Pattern(rule.from),
                          pipeline::Pattern(rule.to),
                          config::merges_of(rule),
                          {rule.copy.begin(), rule.copy.end()}});
  }
  std::vector<pipeline::Pattern> replicated;
  for (const config::Replicate& rule : config.replicate) replicated.emplace_back(rule.tables);
  std::optional<pipeline::Rules::Mirrored> mirrored;
  if (!config.redis.address.empty()) {
    mirrored.emplace(pipeline::Rules::Mirrored{pipeline::Pattern(config.redis.tables), {}});
    for (const config::Table& table : config.table) {
      if (table.is_private) mirrored->never.push_back(table.definition.name);
    }
  }
  return {std::move(aggregates),
          {config.status.table, std::string(config::kLimitsTable)},
          std::move(replicated),
          std::move(mirrored),
          !config.hook.empty()};
}

std::vector<hooks::HookSetup> hook_setups_of(const config::Config& config) {
  std::vector<hooks::HookSetup> setups;
  for (const config::Hook& hook : config.hook) {
    hooks::HookSetup setup;
    setup.file = hook.file;
    const bool all = hook.frontends == std::vector<std::string>{"*"};
    for (const std::string& pattern : hook.frontends) {
      if (!all) setup.frontends.emplace_back(pattern);
    }
    setup.limits = {hook.call_time, static_cast<std::size_t>(hook.memory)};
    setup.on_error = hook.on_error == config::OnError::kAllow  ? hooks::OnError::kAllow
                     : hook.on_error == config::OnError::kDeny ? hooks::OnError::kDeny
                                                               : hooks::OnError::kDefault;
    setups.push_back(std::move(setup));
  }
  return setups;
}

void declare_tables(const config::Config& config, pipeline::Registry& registry, TimePoint now) {
  for (const config::Table& table : config.table) {
    registry.declare(table.definition, static_cast<std::size_t>(table.size), now);
  }
}

std::vector<std::string> check_hooks(const config::Config& config, const std::string& config_file) {
  const pipeline::Rules rules = rules_of(config);
  pipeline::Registry registry(rules, config.agent.max_memory, config.peers.max_origins, /*hash_seed=*/0);
  declare_tables(config, registry, {});
  ErrorLog errors;
  pipeline::Hub hub(hub_setup_of(config, config_file), registry, errors);
  const std::vector<hooks::HookSetup> setups = hook_setups_of(config);
  std::vector<std::string> findings;
  for (std::size_t index = 0; index < setups.size(); ++index) {
    if (auto loaded = hooks::Hooks(hub, {setups[index]}).load({}); !loaded) {
      findings.push_back(fmt::format("{}:{}: hook.file: {}", config_file, config.hook[index].line.number,
                                     loaded.error().detail));
    }
  }
  if (!findings.empty()) return findings;
  // Together they may still be at odds.
  if (auto loaded = hooks::Hooks(hub, setups).load({}); !loaded) findings.push_back(loaded.error().detail);
  return findings;
}

pipeline::HubSetup hub_setup_of(const config::Config& config, std::string config_file) {
  pipeline::HubSetup setup;
  setup.agent_name = config.agent.name;
  setup.config_file = std::move(config_file);
  setup.pid = static_cast<std::uint64_t>(getpid());
  setup.accept_unknown = config.peers.accept_unknown;
  setup.max_tables = config.peers.max_tables;
  setup.away_after = config.peers.away_after;
  setup.forget_after = config.peers.forget_after;
  setup.publish_interval = config.peers.publish_interval;
  setup.learn_timeout = config.peers.learn_timeout;
  setup.allowed_from = [&networks = config.peers.allow_from](const pipeline::Source& source) {
    return std::any_of(networks.begin(), networks.end(), [&](const config::Cidr& network) {
      return network.contains(std::string_view(source.host));
    });
  };
  for (const config::Limit& limit : config.limit) {
    setup.limits.push_back(
        {limit.name, limit.table, limit.type, {limit.above, limit.mode == config::LimitMode::kShadow}});
  }
  for (const config::Peer& peer : config.peer) {
    const auto kind =
        peer.kind == config::PeerKind::kHaproxy ? pipeline::PeerKind::kHaproxy : pipeline::PeerKind::kAgent;
    pipeline::PeerSetup known{peer.name, kind, {}, {}, peer.line.number};
    if (peer.address) {
      known.address = config::to_string(*peer.address);
      if (const auto resolved = net::SocketAddress::resolve(known.address))
        known.host = source_of(*resolved).host;
    }
    setup.peers.push_back(std::move(known));
  }
  return setup;
}

}  // namespace stickmesh::daemon
