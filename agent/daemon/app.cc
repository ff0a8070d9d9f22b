#include "agent/daemon/app.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <csignal>

#include <algorithm>
#include <ctime>
#include <random>

#include "agent/base/log.h"
#include "agent/config/runtime_file.h"
#include "agent/daemon/state_dir.h"
#include "agent/daemon/wiring.h"
#include "agent/net/descriptors.h"

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

/// The last snapshot: more than a table of gigabytes needs on a slow disk.
constexpr Duration kToWriteTheLast{120'000};

std::string time_now() {
  return fmt::format("{:%F %T}", fmt::localtime(std::time(nullptr)));
}

}  // namespace

App::App(const config::Config& config, const std::string& config_file, std::string program)
    : config_(config),
      config_time_(time_now()),
      service_manager_(loop_),
      rules_(rules_of(config)),
      registry_(rules_, config.agent.max_memory, config.peers.max_origins, draw_hash_seed()),
      hub_(hub_setup_of(config, config_file), registry_, errors_),
      sessions_(hub_),
      snapshots_(loop_, hub_, errors_, snapshot::snapshot_path(config.agent.state_dir),
                 config.agent.snapshot_interval),
      handover_(
          loop_, hub_, errors_, {std::move(program), config_file, config.agent.switch_timeout},
          {[this] { return listening(); }, [this] { return spoe_.sockets(); }, [this] { spoe_.hand_on(); },
           [this] { freeze(); }, [this] { thaw(); }, [this](pid_t successor) { retire(successor); },
           [this](std::string_view why) { stays(why); }}),
      commands_(hub_, handover_, loop_.now()),
      spoe_(loop_, hub_, config.spoe),
      lines_(loop_, hub_),
      peers_(loop_),
      admins_(loop_),
      work_timer_(loop_, [this] { work(); }),
      work_deferred_(loop_, [this] { work(); }),
      end_timer_(loop_, [this] { leave(); }) {
  commands_.set_spoe(spoe_);
  if (!config.hook.empty()) {
    hooks_.emplace(hub_, hook_setups_of(config));
    commands_.set_lua(*hooks_);
    spoe_.set_hooks(*hooks_);
  }
  if (!config.events.listen.empty()) commands_.add_to_info(lines_);
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

Result<void> App::start(std::vector<net::UniqueFd> activated) {
  if (auto begun = begin(); !begun) return begun;
  const bool loaded = snapshots_.load();
  const std::size_t count = activated.size();
  sockets_.inherit(std::move(activated), count);
  if (auto prepared = prepare(); !prepared) return prepared;
  sockets_.close_rest();
  restores_ = !loaded && redis_ && config_.redis.restore;
  if (restores_) redis_->restore_first(config_.peers.learn_timeout, [this] { serve_peers(); });
  serve();
  service_manager_.ready(serving_line());
  return {};
}

Result<void> App::start_take_over() {
  if (auto begun = begin(/*taking_over=*/true); !begun) return begun;
  takeover_.emplace(
      loop_, hub_,
      Takeover::Agent{[this](std::vector<net::UniqueFd> inherited, std::size_t activated) {
                        sockets_.inherit(std::move(inherited), activated);
                        return prepare();
                      },
                      [this](std::vector<net::UniqueFd> parcel) { return spoe_.keep(std::move(parcel)); },
                      [this] { serve(); }, [this] { sockets_.close_rest(); },
                      [this] { service_manager_.take_charge(serving_line()); },
                      [this] {
                        failed_ = true;
                        loop_.stop();
                      }});
  return {};
}

Result<void> App::begin(bool taking_over) {
  // Besides sessions: callers that have not said who they are, clients of the runtime socket, listeners.
  constexpr std::size_t kOthers = 2 * net::UnansweredLimits{}.all + 64;
  const std::size_t descriptors = net::raise_descriptor_limit();
  if (descriptors < config_.peers.max_origins + kOthers) {
    log::warning(
        "only {} files may be open, too few for the {} sessions of peers.max-origins: raise the hard limit "
        "(ulimit -Hn, LimitNOFILE=)",
        descriptors, config_.peers.max_origins);
  }
  if (auto usable = check_state_dir(config_.agent.state_dir); !usable) return usable;
  std::signal(SIGPIPE, SIG_IGN);
  signals_.emplace_back(loop_, SIGTERM, [this] { stop("SIGTERM"); });
  signals_.emplace_back(loop_, SIGINT, [this] { stop("SIGINT"); });
  signals_.emplace_back(loop_, SIGHUP, [this] {
    log::reopen();
    log::notice("SIGHUP: the log was reopened");
    if (hooks_) hooks_->reload(loop_.now());
  });
  signals_.emplace_back(loop_, SIGUSR2, [this] {
    if (waiting() || spoe_.draining()) return;
    if (auto begun = handover_.begin(); !begun) log::notice("SIGUSR2: {}", to_string(begun.error()));
  });
  declare_tables(config_, registry_, loop_.now());
  if (hooks_) {
    if (auto loaded = hooks_->load(loop_.now(), taking_over); !loaded) return loaded;
  }
  if (auto protection = protect_peers(); !protection) return protection;
  return restore_runtime();
}

Result<void> App::prepare() {
  if (auto listening = listen_for_commands(); !listening) return listening;
  if (auto listening = listen_for_peers(); !listening) return listening;
  if (auto listening = listen_for_events(); !listening) return listening;
  if (auto listening = listen_for_lines(); !listening) return listening;
  for (net::Listener& listener : listeners_) listener.pause();
  if (auto made = make_redis_client(); !made) return made;
  return make_diallers();
}

void App::serve() {
  // An operator may have changed it at the old process since this one has read it.
  if (takeover_) {
    if (auto restored = restore_runtime(); !restored) log::warning("{}", to_string(restored.error()));
  }
  spoe_.serve_kept();
  for (net::Listener& listener : listeners_) listener.resume();
  if (restores_) {
    for (net::Listener* listener : peer_listeners_) listener->pause();
  } else {
    serve_peers();
  }
  if (redis_) redis_->start();
  hub_.wake();
}

void App::serve_peers() {
  restores_ = false;
  for (net::Listener* listener : peer_listeners_) listener->resume();
  for (Dialler& dialler : diallers_) dialler.start();
  snapshots_.start();
}

std::string App::serving_line() const {
  const auto at = [](std::string_view what, const std::vector<config::Listen>& listens) {
    if (listens.empty()) return std::string();
    const std::size_t others = listens.size() - 1;
    return fmt::format(", {} at {}{}", what, config::to_string(listens.front().address),
                       others == 0 ? "" : fmt::format(" (and {} more)", others));
  };
  return fmt::format("{} serves with the config of {}{}{}{}", config_.agent.name, config_time_,
                     at("peers", config_.peers.listen), at("SPOE", config_.spoe.listen),
                     at("events", config_.events.listen));
}

Handover::Listening App::listening() const {
  Handover::Listening listening;
  for (const bool activated : {true, false}) {
    for (const net::Listener& listener : listeners_) {
      if (sockets_.activated(listener.fd()) == activated) listening.sockets.push_back(listener.fd());
    }
    if (!activated) break;
    sockets_.add_unused(listening.sockets);
    listening.activated = listening.sockets.size();
  }
  return listening;
}

void App::stays(std::string_view why) {
  constexpr std::size_t kLongest = 250;
  service_manager_.status(fmt::format("soft restart failed at {}: {}{}; still serving with the config of {}",
                                      time_now(), why.substr(0, kLongest), why.size() > kLongest ? "..." : "",
                                      config_time_));
}

void App::freeze() {
  for (net::Listener& listener : listeners_) listener.pause();
  peers_.suspend();
  spoe_.suspend();
  lines_.suspend();
  admins_.suspend();
  snapshots_.pause();
}

void App::thaw() {
  if (end_timer_.active()) {
    end_timer_.stop();
    if (redis_) redis_->start();
    commands_.retire({});
    service_manager_.take_charge(serving_line());
  }
  snapshots_.start();
  for (net::Listener& listener : listeners_) listener.resume();
  peers_.resume();
  spoe_.resume();
  lines_.resume();
  admins_.resume();
  hub_.wake();
}

// Its sessions stay open a little: whoever sees the new process's first sees no gap between them.
void App::retire(pid_t successor) {
  constexpr Duration kGrace{300};
  service_manager_.hand_on(successor);
  commands_.retire(fmt::format("process {} is in charge now: ask again", successor));
  admins_.resume();
  if (redis_) redis_->stop();
  spoe_.hand_on();
  lines_.drop_all();
  retired_at_ = loop_.now();
  end_timer_.set(retired_at_ + kGrace);
}

// To the service manager, one that goes before its successor is known has ended the service.
void App::leave() {
  constexpr Duration kPatience{10'000};
  if (!service_manager_.owes() || loop_.now() >= retired_at_ + kPatience) return loop_.stop();
  end_timer_.set(loop_.now() + Duration(100));
}

Result<void> App::restore_runtime() {
  const std::string path = config::runtime_path(config_.agent.state_dir);
  const auto runtime = config::load_runtime(path);
  if (!runtime) return tl::unexpected(runtime.error());
  hub_.on_runtime_changed({});
  const std::vector<std::string>& away = runtime->maintenance;
  for (const std::string& name : away) {
    if (auto set = hub_.set_maintenance(name, true); !set)
      log::notice("{}: {}", path, to_string(set.error()));
  }
  for (pipeline::Peer& peer : hub_.peers()) {
    if (std::find(away.begin(), away.end(), peer.setup.name) == away.end()) peer.maintenance = false;
  }
  for (const config::Runtime::Limit& limit : runtime->limits) {
    const auto value =
        limit.above ? std::optional(pipeline::LimitValue{*limit.above, limit.shadow}) : std::nullopt;
    hub_.learn_limit(limit.name, value, limit.changed_at);
    if (hub_.limits().find(limit.name) == nullptr)
      log::notice("{}: there is no [[limit]] name = \"{}\" any more: its change is dropped", path,
                  limit.name);
  }
  hub_.on_runtime_changed([this, path] {
    config::Runtime changed;
    for (const pipeline::Limit& limit : hub_.limits().all()) {
      if (limit.changed_at == 0) continue;
      const auto above = limit.changed ? std::optional(limit.changed->above) : std::nullopt;
      changed.limits.push_back({limit.name, above, limit.changed && limit.changed->shadow, limit.changed_at});
    }
    for (const pipeline::Peer& peer : hub_.peers()) {
      if (peer.maintenance) changed.maintenance.push_back(peer.setup.name);
    }
    auto saved = config::save_runtime(path, changed);
    if (!saved)
      errors_.record(saved.error(), "what was changed at run time is lost at a restart", loop_.now());
    return saved;
  });
  return {};
}

Result<void> App::protect_peers() {
  auto context = load_tls(config_.peers.tls, "peers.tls", hub_.setup().config_file);
  if (!context) return tl::unexpected(context.error());
  for (const std::string& doubt : peers_tls_doubts(context->get(), config_, hub_.setup().config_file))
    log::warning("{}", doubt);
  sessions_.protect(std::move(*context));
  return {};
}

Result<void> App::listen_for_commands() {
  auto socket = sockets_.open("[admin] socket", config_.admin.socket, {});
  if (!socket) return tl::unexpected(socket.error());
  listeners_.emplace_back(
      loop_, std::move(*socket), [this](net::UniqueFd client, const net::SocketAddress& from) {
        admins_.add(std::move(client), from, std::make_unique<admin::CliSession>(commands_, loop_.now()));
      });
  return {};
}

Result<void> App::listen_for_peers() {
  for (const config::Listen& listen : config_.peers.listen) {
    auto socket = sockets_.open("[peers] listen", config::to_string(listen.address), options_of(listen));
    if (!socket) return tl::unexpected(socket.error());
    listeners_.emplace_back(loop_, std::move(*socket),
                            [this](net::UniqueFd peer, const net::SocketAddress& from) {
                              peers_.add(std::move(peer), from, sessions_.accept(from, loop_.now()));
                            });
    peer_listeners_.push_back(&listeners_.back());
    log::info("peers are accepted on {} as '{}'", listeners_.back().address().to_string(),
              config_.agent.name);
  }
  return {};
}

Result<void> App::listen_for_events() {
  for (const config::Listen& listen : config_.spoe.listen) {
    auto socket = sockets_.open("[spoe] listen", config::to_string(listen.address), options_of(listen));
    if (!socket) return tl::unexpected(socket.error());
    listeners_.emplace_back(loop_, std::move(*socket),
                            [this](net::UniqueFd client, const net::SocketAddress& from) {
                              spoe_.accept(std::move(client), from);
                            });
    log::info("SPOE events are taken on {}", listeners_.back().address().to_string());
  }
  return {};
}

Result<void> App::listen_for_lines() {
  for (const config::Listen& listen : config_.events.listen) {
    auto socket = sockets_.open("[events] listen", config::to_string(listen.address), options_of(listen));
    if (!socket) return tl::unexpected(socket.error());
    listeners_.emplace_back(loop_, std::move(*socket),
                            [this](net::UniqueFd client, const net::SocketAddress& from) {
                              lines_.accept(std::move(client), from);
                            });
    log::info("events of stickmesh.lua are taken on {}", listeners_.back().address().to_string());
  }
  return {};
}

Result<void> App::make_diallers() {
  for (pipeline::Peer& peer : hub_.peers()) {
    if (peer.setup.address.empty()) continue;
    const auto address = net::SocketAddress::resolve(peer.setup.address);
    if (!address) return tl::unexpected(address.error());
    diallers_.emplace_back(loop_, hub_, sessions_, peers_, peer, *address);
  }
  return {};
}

Result<void> App::make_redis_client() {
  if (config_.redis.address.empty()) return {};
  std::vector<net::SocketAddress> addresses;
  for (const config::Address& written : config_.redis.address) {
    const auto address = net::SocketAddress::resolve(config::to_string(written));
    if (!address) return tl::unexpected(address.error());
    addresses.push_back(*address);
  }
  auto password = redis_password(config_.redis);
  if (!password) return tl::unexpected(password.error());
  auto tls = load_tls(config_.redis.tls, "redis.tls", hub_.setup().config_file);
  if (!tls) return tl::unexpected(tls.error());
  redis_.emplace(loop_, hub_, config_.redis, std::move(addresses), std::move(*password), std::move(*tls));
  commands_.set_redis(*redis_);
  return {};
}

void App::work() {
  loop_.refresh();
  // Until this process serves there is nobody to send to, and nothing may expire that is to be told yet.
  if (waiting()) {
    hub_.publish(loop_.now());
    return;
  }
  std::optional<TimePoint> next;
  if (!handover_.frozen()) {
    next = hub_.run(loop_.now());
    const auto hooks_next = hooks_ ? hooks_->run(loop_.now()) : std::nullopt;
    if (hooks_next && (!next || *hooks_next < *next)) next = hooks_next;
  }
  if (handover_.run(loop_.now())) next = loop_.now();
  if (next && (!work_timer_.active() || *next < work_timer_.when())) work_timer_.set(*next);
}

bool App::run() {
  loop_.run();
  return !failed_;
}

void App::stop(const char* signal) {
  log::notice("{}: stopping", signal);
  // One that has another process in its place only goes, and one that waits has nothing to leave.
  if (waiting() || handover_.gone()) {
    failed_ = waiting();
    return loop_.stop();
  }
  handover_.abandon();
  // Asked twice, it does not wait. What is counted until then is for the snapshot, and for others, too.
  if (!spoe_.in_use() || spoe_.draining()) return end();
  const std::string drains = fmt::format("events are answered until HAProxy goes elsewhere, for {} at most",
                                         describe(config_.agent.drain_timeout));
  log::notice("{}", drains);
  service_manager_.stopping(drains, config_.agent.drain_timeout + kToWriteTheLast);
  spoe_.drain(config_.agent.drain_timeout, [this] { end(); });
}

void App::end() {
  service_manager_.stopping(restores_ ? "stopping" : "writing the snapshot", kToWriteTheLast);
  // The snapshot needs descriptors, of which there may be none left.
  listeners_.clear();
  // Else the next start would not ask Redis again.
  if (!restores_) failed_ = !snapshots_.finish();
  if (redis_) redis_->stop();
  peers_.close_all({Reason::kConnectionLost, "this agent stops"});
  diallers_.clear();
  lines_.close_all({Reason::kConnectionLost, "this agent stops"});
  admins_.close_all({Reason::kConnectionLost, "this agent stops"});
  loop_.stop();
}

}  // namespace stickmesh::daemon
