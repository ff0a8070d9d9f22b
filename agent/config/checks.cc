#include <fmt/format.h>

#include <map>

#include "agent/config/names.h"
#include "agent/config/quote.h"
#include "agent/config/sections.h"

namespace stickmesh::config {
namespace {

void check_peer_names(const Config& config, const Places& places, Report& report) {
  std::map<std::string_view, unsigned> seen;
  for (const Peer& peer : config.peer) {
    if (peer.name.empty()) continue;
    if (peer.name == config.agent.name) {
      report.fail(peer.line.number,
                  fmt::format("peer.name: {} is this agent's own name (agent.name, line {})",
                              quote(peer.name), places.agent_name));
    }
    const auto [first, is_new] = seen.emplace(peer.name, peer.line.number);
    if (is_new) continue;
    report.fail(peer.line.number,
                fmt::format("peer.name: {} is already the peer of line {}", quote(peer.name), first->second));
  }
}

/// What others write to Redis is of an origin with this name, also when other agents read it.
void check_accepted_origin(const Config& config, const Places& places, Report& report) {
  constexpr std::string_view kTaken = "redis";
  const auto fail = [&](unsigned line, std::string_view key) {
    report.fail(line, fmt::format("{}: {} is the name of what redis.accept takes in: choose another", key,
                                  quote(kTaken)));
  };
  if (config.agent.name == kTaken) fail(places.agent_name, "agent.name");
  for (const Peer& peer : config.peer) {
    if (peer.name == kTaken) fail(peer.line.number, "peer.name");
  }
}

/// Who can have a session at all.
void check_reachable(const Config& config, const Places& places, Report& report) {
  const bool certified = config.peers.tls.enabled() && config.peers.tls.verify == Verify::kRequired;
  bool local = certified || !config.peers.allow_from.empty();
  for (const Listen& listen : config.peers.listen)
    local = local || listen.address.kind != Address::Kind::kTcp;
  bool dials = false;
  for (const Peer& peer : config.peer) dials = dials || peer.address.has_value();
  if (config.peers.listen.empty() && !dials) {
    report.fail(places.peers,
                "peers.listen: is empty and no peer has an address: there would be no session at all");
    return;
  }
  if (config.peer.empty() && !config.peers.accept_unknown) {
    report.note(places.peers,
                "peer: none is listed and peers.accept-unknown is false: every session will be refused");
  }
  for (const Peer& peer : config.peer) {
    if (peer.address || local) continue;
    report.note(peer.line.number,
                fmt::format("peer.address: {} has none, and peers.allow-from is empty: without verified TLS, "
                            "every session from it will be refused",
                            quote(peer.name)));
  }
}

void check_listens(const Config& config, Report& report) {
  std::map<std::string, unsigned> seen;
  const auto check = [&](std::string_view key, const std::vector<Listen>& listens) {
    for (const Listen& listen : listens) {
      const std::string address = to_string(listen.address);
      if (address == config.admin.socket) {
        report.fail(listen.line.number, fmt::format("{}: {} is admin.socket", key, quote(address)));
      }
      const auto [first, is_new] = seen.emplace(address, listen.line.number);
      if (is_new) continue;
      report.fail(listen.line.number,
                  fmt::format("{}: {} is already in line {}", key, quote(first->first), first->second));
    }
  };
  check("peers.listen", config.peers.listen);
  check("spoe.listen", config.spoe.listen);
}

void check_status(const Config& config, const Places& places, Report& report) {
  if (config.status.table == kLimitsTable) {
    report.fail(places.status_table,
                "status.table: \"limits\" is the table of the limits; choose another name");
  }
}

/// Tables that agents write besides totals.
bool is_reserved(const Config& config, std::string_view name) {
  return !name.empty() && (name == kLimitsTable || name == config.status.table);
}

/// What agents write is never an input, and nothing else may write it.
void check_reserved(const Config& config, const Aggregate& rule, Report& report) {
  if (is_reserved(config, rule.from)) {
    report.fail(rule.line.number,
                fmt::format("aggregate.from: {} is written by agents and never an input", quote(rule.from)));
  }
  // A bare * is reported where it is read.
  if (rule.to == "*") return;
  for (const std::string_view reserved : {std::string_view(config.status.table), kLimitsTable}) {
    if (reserved.empty() || !matches(rule.to, reserved)) continue;
    report.fail(rule.to_line.number,
                fmt::format("aggregate.to: {} can produce {}, which agents write themselves", quote(rule.to),
                            quote(reserved)));
  }
}

/// Rules that another one keeps from ever working, or that write to the same table.
void check_rule_order(const Config& config, std::size_t index, Report& report) {
  const Aggregate& rule = config.aggregate[index];
  const bool to_star = rule.to.find('*') != std::string::npos;
  for (std::size_t before = 0; before < index; ++before) {
    const Aggregate& earlier = config.aggregate[before];
    if (earlier.from.empty()) continue;
    if (covers(earlier.from, rule.from)) {
      report.fail(rule.line.number,
                  fmt::format("aggregate.from: {} is never reached: the rule of line {} takes all of it",
                              quote(rule.from), earlier.line.number));
      return;
    }
    if (rule.to == earlier.to && !to_star) {
      report.fail(rule.to_line.number,
                  fmt::format("aggregate.to: {} is already written by the rule of line {}", quote(rule.to),
                              earlier.line.number));
      return;
    }
  }
  for (const Aggregate& other : config.aggregate) {
    if (&other == &rule || other.to == "*" || !covers(other.to, rule.from)) continue;
    report.fail(rule.line.number,
                fmt::format("aggregate.from: {} is an output of the rule of line {} and never an "
                            "input",
                            quote(rule.from), other.line.number));
    return;
  }
}

void check_aggregates(const Config& config, Report& report) {
  for (std::size_t index = 0; index < config.aggregate.size(); ++index) {
    const Aggregate& rule = config.aggregate[index];
    if (rule.from.empty() || rule.to.empty()) continue;
    check_reserved(config, rule, report);
    check_rule_order(config, index, report);
  }
}

void check_tables(const Config& config, Report& report) {
  std::map<std::string_view, unsigned> seen;
  for (const Table& table : config.table) {
    const std::string& name = table.definition.name;
    if (name.empty()) continue;
    const unsigned line = table.line.number;
    const auto [first, is_new] = seen.emplace(name, line);
    if (!is_new) {
      report.fail(line,
                  fmt::format("table.name: {} is already the table of line {}", quote(name), first->second));
    }
    if (is_reserved(config, name)) {
      report.fail(line,
                  fmt::format("table.name: {} is written by agents and cannot be declared", quote(name)));
    }
    for (const Aggregate& rule : config.aggregate) {
      if (rule.to == "*" || !matches(rule.to, name)) continue;
      report.fail(
          line,
          fmt::format("table.name: {} is an output of the aggregate of line {}: only totals are written "
                      "to it",
                      quote(name), rule.line.number));
      break;
    }
  }
}

void check_limits(const Config& config, Report& report) {
  std::map<std::string_view, unsigned> seen;
  for (const Limit& limit : config.limit) {
    const auto [first, is_new] = seen.emplace(limit.name, limit.line.number);
    if (is_new || limit.name.empty()) continue;
    report.fail(limit.line.number, fmt::format("limit.name: {} is already the limit of line {}",
                                               quote(limit.name), first->second));
  }
}

}  // namespace

void check_whole(const Config& config, const Places& places, Report& report) {
  if (config.peers.forget_after < config.peers.away_after) {
    report.fail(places.forget_after,
                fmt::format("peers.forget-after: \"{}\" is shorter than away-after, \"{}\"",
                            describe(config.peers.forget_after), describe(config.peers.away_after)));
  }
  check_peer_names(config, places, report);
  check_accepted_origin(config, places, report);
  check_reachable(config, places, report);
  check_listens(config, report);
  check_status(config, places, report);
  check_aggregates(config, report);
  check_tables(config, report);
  check_limits(config, report);
}

}  // namespace stickmesh::config
