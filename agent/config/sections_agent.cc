#include "agent/config/names.h"
#include "agent/config/sections.h"

namespace stickmesh::config {

using namespace std::chrono_literals;

void read_agent(Section& section, Agent& agent) {
  section.read("name", agent.name, text(peer_name_problem));
  section.read("state-dir", agent.state_dir, text(path_problem));
  section.read("snapshot-interval", agent.snapshot_interval, time(1s, 24h));
  section.read("drain-timeout", agent.drain_timeout, time(0s, 1h));
  section.read("switch-timeout", agent.switch_timeout, time(1ms, 10s));
  section.read("max-memory", agent.max_memory, size(std::uint64_t{1} << 20, std::uint64_t{1} << 50));
}

void read_log(Section& section, Log& log) {
  section.read("level", log.level,
               choice<log::Level>({{"debug", log::Level::kDebug},
                                   {"info", log::Level::kInfo},
                                   {"notice", log::Level::kNotice},
                                   {"warning", log::Level::kWarning},
                                   {"error", log::Level::kError}}));
  section.read("target", log.target,
               choice<log::Target>({{"stderr", log::Target::kStderr}, {"syslog", log::Target::kSyslog}}));
}

void read_admin(Section& section, Admin& admin) {
  const auto socket = [](const Spot& spot) -> std::optional<std::string> {
    const std::optional<std::string> path = read_text(spot, path_problem);
    if (!path) return std::nullopt;
    const Parsed<Address> address = parse_address(*path);
    if (!address) return spot.fail(address.error());
    return path;
  };
  section.read("socket", admin.socket, socket);
  section.read("http", admin.http,
               unless_empty(parsed(R"(an address such as "127.0.0.1:10303")", parse_address)));
  section.read("token-file", admin.token_file, text(optional_path_problem));
}

void read_status(Section& section, Status& status) {
  section.read("table", status.table, text(optional_table_name_problem));
}

}  // namespace stickmesh::config
