#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "agent/base/log.h"
#include "agent/config/config_file.h"
#include "agent/config/memory.h"
#include "agent/daemon/app.h"

namespace {

using namespace stickmesh;

struct Arguments {
  std::string file = "/etc/stickmesh/stickmesh.toml";
  bool check = false;
};

int check(const std::string& file, const config::LoadResult& loaded) {
  if (!loaded) return 1;
  fmt::print("{}: valid\n{}\n", file, config::memory_worst_case(loaded->config));
  return 0;
}

int serve(const Arguments& arguments, const config::Config& config) {
  log::configure(config.log.level, config.log.target);
  daemon::App app(config, arguments.file);
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
  Arguments arguments;
  cli.add_option("-f,--config", arguments.file, "config file")->capture_default_str();
  cli.add_flag("-c,--check", arguments.check, "check the config, print what is wrong with it, and stop");
  cli.set_version_flag("-v,--version", "stickmesh " STICKMESH_VERSION);
  CLI11_PARSE(cli, argc, argv);

  const config::LoadResult loaded = config::load_config(arguments.file);
  if (!loaded) {
    for (const config::Finding& finding : loaded.error())
      fmt::print(stderr, "{}\n", config::to_string(finding));
  } else {
    for (const config::Finding& note : loaded->notes) fmt::print(stderr, "{}\n", config::to_string(note));
  }
  if (arguments.check) return check(arguments.file, loaded);
  return loaded ? serve(arguments, loaded->config) : 1;
}
