#include "agent/daemon/app.h"

#include <fmt/format.h>
#include <csignal>

#include <algorithm>
#include <random>

#include "agent/base/log.h"
#include "agent/config/runtime_file.h"
#include "agent/daemon/wiring.h"
#include "agent/net/descriptors.h"
#include "agent/net/systemd.h"

namespace stickmesh::daemon {

namespace {

std::uint64_t draw_hash_seed() {
  std::random_device random;
  return std::uint64_t{random()} << 32U | random();
}

net::ListenOptions options_of(const config::Listen& listen) {
  net::ListenOptions options;
  options.mode = static_cast<mode_t>(listen.mode);
  options.group = listen.group;
  return options;
}

}  // namespace

App::App(const config::Config& config, std::string config_file)
    : config_(config),
      rules_(rules_of(config)),
      registry_(rules_, config.agent.max_memory, config.peers.max_origins, draw_hash_seed()),
      hub_(hub_setup_of(config, std::move(config_file)), registry_, errors_),
      sessions_(hub_),
      snapshots_(loop_, hub_, errors_, snapshot::snapshot_path(config.agent.state_dir),
                 config.agent.snapshot_interval),
      commands_(hub_, loop_.now()),
      peers_(loop_),
      admins_(loop_),
      work_timer_(loop_, [this] { work(); }),
      work_deferred_(loop_, [this] { work(); }) {
  hub_.set_wakeup([this] { work_deferred_.schedule(); });
  hub_.on_session_ended([this](const pipeline::Peer& peer) {
    for (Dialler& dialler : diallers_) {
      if (&dialler.peer() == &peer) dialler.session_ended();
    }
  });
}

App::~App() {
  // Connections that end from here on find only a part of the agent.
  hub_.on_session_ended({});
  hub_.set_wakeup({});
}

Result<void> App::start() {
  // Besides sessions: callers that have not said who they are, clients of the runtime socket, listeners.
  constexpr std::size_t kOthers = 2 * net::UnansweredLimits{}.all + 64;
  const std::size_t descriptors = net::raise_descriptor_limit();
  if (descriptors < config_.peers.max_origins + kOthers) {
    log::warning(
        "only {} files may be open, too few for the {} sessions of peers.max-origins: raise the hard limit "
        "(ulimit -Hn, LimitNOFILE=)",
        descriptors, config_.peers.max_origins);
  }
  for (const config::Table& table : config_.table) {
    registry_.declare(table.definition, static_cast<std::size_t>(table.size), loop_.now());
  }
  if (auto restored = restore_runtime(); !restored) return restored;
  if (auto protection = protect_peers(); !protection) return protection;
  snapshots_.load();
  if (auto listening = listen_for_commands(); !listening) return listening;
  if (auto listening = listen_for_peers(); !listening) return listening;
  if (auto dialling = start_diallers(); !dialling) return dialling;
  snapshots_.start();

  std::signal(SIGPIPE, SIG_IGN);
  signals_.emplace_back(loop_, SIGTERM, [this] { stop("SIGTERM"); });
  signals_.emplace_back(loop_, SIGINT, [this] { stop("SIGINT"); });
  signals_.emplace_back(loop_, SIGHUP, [] {
    log::reopen();
    log::notice("SIGHUP: the log was reopened");
  });
  signals_.emplace_back(loop_, SIGUSR2,
                        [] { log::warning("SIGUSR2: the soft restart is not in this build"); });
  return {};
}

Result<void> App::restore_runtime() {
  const std::string path = config::runtime_path(config_.agent.state_dir);
  const auto runtime = config::load_runtime(path);
  if (!runtime) return tl::unexpected(runtime.error());
  for (const std::string& name : runtime->maintenance) {
    if (auto set = hub_.set_maintenance(name, true); !set)
      log::notice("{}: {}", path, to_string(set.error()));
  }
  hub_.on_runtime_changed([this, path] {
    config::Runtime changed;
    for (const pipeline::Peer& peer : hub_.peers()) {
      if (peer.maintenance) changed.maintenance.push_back(peer.setup.name);
    }
    if (auto saved = config::save_runtime(path, changed); !saved) {
      errors_.record(saved.error(), "what was changed at run time is lost at a restart", loop_.now());
    }
  });
  return {};
}

Result<void> App::protect_peers() {
  auto context = load_peers_tls(config_, hub_.setup().config_file);
  if (!context) return tl::unexpected(context.error());
  for (const std::string& doubt : peers_tls_doubts(context->get(), config_, hub_.setup().config_file))
    log::warning("{}", doubt);
  sessions_.protect(std::move(*context));
  return {};
}

Result<void> App::listen_for_commands() {
  const auto address = net::SocketAddress::parse(config_.admin.socket);
  if (!address) return tl::unexpected(address.error());
  auto socket = net::listen_on(*address);
  if (!socket) return tl::unexpected(socket.error());
  listeners_.emplace_back(
      loop_, std::move(*socket), [this](net::UniqueFd client, const net::SocketAddress& from) {
        admins_.add(std::move(client), from, std::make_unique<admin::CliSession>(commands_, loop_.now()));
      });
  return {};
}

Result<void> App::listen_for_peers() {
  for (const config::Listen& listen : config_.peers.listen) {
    const auto address = net::SocketAddress::resolve(config::to_string(listen.address));
    if (!address) return tl::unexpected(address.error());
    auto socket = net::listen_on(*address, options_of(listen));
    if (!socket) return tl::unexpected(socket.error());
    listeners_.emplace_back(loop_, std::move(*socket),
                            [this](net::UniqueFd peer, const net::SocketAddress& from) {
                              peers_.add(std::move(peer), from, sessions_.accept(from, loop_.now()));
                            });
    log::info("peers are accepted on {} as '{}'", listeners_.back().address().to_string(),
              config_.agent.name);
  }
  return {};
}

Result<void> App::start_diallers() {
  for (pipeline::Peer& peer : hub_.peers()) {
    if (peer.setup.address.empty()) continue;
    const auto address = net::SocketAddress::resolve(peer.setup.address);
    if (!address) return tl::unexpected(address.error());
    diallers_.emplace_back(loop_, hub_, sessions_, peers_, peer, *address);
    diallers_.back().start();
  }
  return {};
}

void App::work() {
  loop_.refresh();
  if (const auto next = hub_.run(loop_.now())) {
    if (!work_timer_.active() || *next < work_timer_.when()) work_timer_.set(*next);
  }
}

void App::run() {
  if (const auto told = net::notify_systemd("READY=1"); !told) log::warning("{}", to_string(told.error()));
  loop_.run();
}

void App::stop(const char* signal) {
  log::notice("{}: stopping", signal);
  if (const auto told = net::notify_systemd("STOPPING=1"); !told) log::warning("{}", to_string(told.error()));
  snapshots_.finish();
  listeners_.clear();
  peers_.close_all({Reason::kConnectionLost, "this agent stops"});
  diallers_.clear();
  admins_.close_all({Reason::kConnectionLost, "this agent stops"});
  loop_.stop();
}

}  // namespace stickmesh::daemon
