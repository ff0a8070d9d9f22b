#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "agent/base/log.h"
#include "agent/config/config_file.h"
#include "agent/config/memory.h"
#include "agent/daemon/app.h"
#include "agent/daemon/wiring.h"
#include "agent/net/systemd.h"

namespace {

using namespace stickmesh;

void say(log::Level level, std::string_view line) {
  fmt::print(stderr, "{}{}\n", log::journal_prefix(level), line);
}

int check(const std::string& file, const config::Loaded& loaded) {
  for (const config::Finding& note : loaded.notes) say(log::Level::kNotice, config::to_string(note));
  std::vector<std::string> findings = daemon::check_hooks(loaded.config, file);
  const auto tls = daemon::load_tls(loaded.config.peers.tls, "peers.tls", file);
  if (!tls) findings.push_back(tls.error().detail);
  const auto redis_tls = daemon::load_tls(loaded.config.redis.tls, "redis.tls", file);
  if (!redis_tls) findings.push_back(redis_tls.error().detail);
  const auto password = daemon::redis_password(loaded.config.redis);
  if (!password)
    findings.push_back(
        fmt::format("{}:{}: {}", file, loaded.config.redis.password_line.number, password.error().detail));
  for (const std::string& finding : findings) say(log::Level::kError, finding);
  if (!findings.empty()) return 1;
  for (const std::string& doubt : daemon::peers_tls_doubts(tls->get(), loaded.config, file))
    say(log::Level::kWarning, doubt);
  fmt::print("{}: valid\n{}\n", file, config::memory_worst_case(loaded.config));
  return 0;
}

// What stands in this place at the next soft restart, be it another file by then.
std::string own_path() {
  constexpr std::string_view kReplaced = " (deleted)";
  std::error_code error;
  std::string path = std::filesystem::read_symlink("/proc/self/exe", error).string();
  if (path.ends_with(kReplaced)) path.resize(path.size() - kReplaced.size());
  return path;
}

int serve(const std::string& file, const config::Loaded& loaded, bool take_over) {
  log::configure(loaded.config.log.level, loaded.config.log.target);
  auto activated = net::take_activated_sockets();
  if (!activated) {
    log::error("{}", to_string(activated.error()));
    return 1;
  }
  for (const config::Finding& note : loaded.notes) log::notice("{}", config::to_string(note));
  daemon::App app(loaded.config, file, own_path());
  if (auto started = take_over ? app.start_take_over() : app.start(std::move(*activated)); !started) {
    log::error("{}", to_string(started.error()));
    if (take_over) daemon::Takeover::tell_failure(started.error().detail);
    return 1;
  }
  return app.run() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App cli("stickmeshd: adds up the stick tables of several HAProxy instances", "stickmeshd");
  std::string file = "/etc/stickmesh/stickmesh.toml";
  bool check_only = false;
  bool take_over = false;
  cli.add_option("-f,--config", file, "config file")->capture_default_str();
  cli.add_flag("-c,--check", check_only, "check the config, print what is wrong with it, and stop");
  // Only for the process that a soft restart starts, so it is not shown.
  cli.add_flag(daemon::kTakeoverOption, take_over)->group("");
  cli.set_version_flag("-v,--version", "stickmesh " STICKMESH_VERSION);
  CLI11_PARSE(cli, argc, argv);

  const config::LoadResult loaded = config::load_config(file);
  if (!loaded) {
    std::string findings;
    for (const config::Finding& finding : loaded.error()) {
      say(log::Level::kError, config::to_string(finding));
      findings += (findings.empty() ? "" : "\n") + config::to_string(finding);
    }
    if (take_over) daemon::Takeover::tell_failure(findings);
    return 1;
  }
  return check_only ? check(file, *loaded) : serve(file, *loaded, take_over);
}
