#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "agent/base/log.h"
#include "agent/config/config_file.h"
#include "agent/config/memory.h"
#include "agent/daemon/app.h"

namespace {

using namespace stickmesh;

int check(const std::string& file, const config::Loaded& loaded) {
  for (const config::Finding& note : loaded.notes) fmt::print(stderr, "{}\n", config::to_string(note));
  const auto tls = daemon::load_peers_tls(loaded.config, file);
  if (!tls) {
    fmt::print(stderr, "{}\n", tls.error().detail);
    return 1;
  }
  for (const std::string& doubt : daemon::peers_tls_doubts(tls->get(), loaded.config, file))
    fmt::print(stderr, "{}\n", doubt);
  fmt::print("{}: valid\n{}\n", file, config::memory_worst_case(loaded.config));
  return 0;
}

int serve(const std::string& file, const config::Loaded& loaded) {
  log::configure(loaded.config.log.level, loaded.config.log.target);
  for (const config::Finding& note : loaded.notes) log::notice("{}", config::to_string(note));
  daemon::App app(loaded.config, file);
  if (auto started = app.start(); !started) {
    log::error("{}", to_string(started.error()));
    return 1;
  }
  app.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App cli("stickmeshd: adds up the stick tables of several HAProxy instances", "stickmeshd");
  std::string file = "/etc/stickmesh/stickmesh.toml";
  bool check_only = false;
  cli.add_option("-f,--config", file, "config file")->capture_default_str();
  cli.add_flag("-c,--check", check_only, "check the config, print what is wrong with it, and stop");
  cli.set_version_flag("-v,--version", "stickmesh " STICKMESH_VERSION);
  CLI11_PARSE(cli, argc, argv);

  const config::LoadResult loaded = config::load_config(file);
  if (!loaded) {
    for (const config::Finding& finding : loaded.error())
      fmt::print(stderr, "{}\n", config::to_string(finding));
    return 1;
  }
  return check_only ? check(file, *loaded) : serve(file, *loaded);
}
