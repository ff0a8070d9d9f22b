#pragma once

#include "agent/config/config.h"
#include "agent/config/section.h"

/// One function per part of the file. Each reads its keys into the struct, with the checks that need no other
/// part; `check_whole` does the others.
namespace stickmesh::config {

/// Where parts stand whose structs do not keep a line; 1 when the file lacks them.
struct Places {
  unsigned agent_name = 1;
  unsigned peers = 1;
  unsigned forget_after = 1;
  unsigned status_table = 1;
};

void read_agent(Section& section, Agent& agent);
void read_log(Section& section, Log& log);
void read_admin(Section& section, Admin& admin);
void read_status(Section& section, Status& status);
void read_peers(Section& section, Peers& peers);
void read_peer(Section& section, Peer& peer);
void read_table(Section& section, Table& table);
void read_aggregate(Section& section, Aggregate& aggregate);
void read_replicate(Section& section, Replicate& replicate);
void read_limit(Section& section, Limit& limit);
void read_spoe(Section& section, Spoe& spoe);
void read_events(Section& section, Events& events);
void read_hook(Section& section, Hook& hook);
void read_redis(Section& section, Redis& redis);

/// Keys that several parts have.
std::optional<Listen> read_listen(const Spot& spot);
void read_tls(Section& section, Tls& tls);

void check_whole(const Config& config, const Places& places, Report& report);

inline constexpr std::string_view kListenForm =
    R"(a list such as ["127.0.0.1:10300"], of addresses or of { path, mode, group })";
inline constexpr std::string_view kAddressForm = R"(an address such as "192.0.2.11:10000")";

}  // namespace stickmesh::config
