#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/admin/commands.h"
#include "agent/base/error_log.h"
#include "agent/config/config.h"
#include "agent/daemon/dialler.h"
#include "agent/daemon/handover.h"
#include "agent/daemon/line_server.h"
#include "agent/daemon/peer_sessions.h"
#include "agent/daemon/redis_client.h"
#include "agent/daemon/snapshots.h"
#include "agent/daemon/spoe_server.h"
#include "agent/daemon/takeover.h"
#include "agent/hooks/hooks.h"
#include "agent/net/connection_set.h"
#include "agent/net/listener.h"
#include "agent/net/loop.h"
#include "agent/net/signal.h"
#include "agent/net/timer.h"
#include "agent/pipeline/hub.h"

namespace stickmesh::daemon {

/// The whole agent: makes every object and joins them. One thread.
class App {
 public:
  /// |program|: the path of the binary, for soft restarts.
  App(const config::Config& config, std::string config_file, std::string program);
  App(const App&) = delete;
  App& operator=(const App&) = delete;
  ~App();

  /// Opens the listeners. An error says what to do; nothing is served then.
  Result<void> start();
  /// The same for the new process of a soft restart, which serves once the old one says so.
  Result<void> start_take_over();
  /// Returns after SIGTERM or SIGINT, or once another process has taken over. False when this one was to take
  /// over, and could not.
  bool run();

 private:
  /// What `start` has to do in any case, before anything is known.
  Result<void> begin(bool taking_over = false);
  /// Makes what is served, but lets it wait. Listeners at the same address are taken from |inherited|.
  Result<void> prepare(std::vector<net::UniqueFd> inherited);
  void serve();
  void freeze();
  void thaw();
  void retire(pid_t successor);
  static void tell_main_process(pid_t process);
  /// Of the process before this one, those that the config has no more.
  void close_inherited();
  Result<net::UniqueFd> listen(const std::string& address, const net::ListenOptions& options);
  Result<void> restore_runtime();
  Result<void> protect_peers();
  Result<void> listen_for_peers();
  Result<void> listen_for_commands();
  Result<void> listen_for_events();
  Result<void> listen_for_lines();
  Result<void> make_diallers();
  Result<void> make_redis_client();
  /// Instances and other agents are let in, and dialled.
  void serve_peers();
  std::vector<int> listening() const;
  /// This process is to take over, and does not serve yet.
  bool waiting() const { return takeover_ && takeover_->waiting(); }
  void work();
  void stop(const char* signal);
  void end();

  const config::Config& config_;
  net::Loop loop_;
  ErrorLog errors_;
  pipeline::Rules rules_;
  pipeline::Registry registry_;
  pipeline::Hub hub_;
  PeerSessions sessions_;
  Snapshots snapshots_;
  Handover handover_;
  admin::Commands commands_;
  SpoeServer spoe_;
  std::optional<hooks::Hooks> hooks_;
  LineServer lines_;
  std::optional<RedisClient> redis_;  ///< nothing without `[redis] address`
  net::ConnectionSet peers_;
  net::ConnectionSet admins_;
  std::list<net::Listener> listeners_;
  std::vector<net::Listener*> peer_listeners_;  ///< of these
  bool restores_ = false;  ///< what Redis has kept is read before instances and other agents come
  std::list<Dialler> diallers_;
  std::vector<net::UniqueFd> inherited_;  ///< listeners that were not taken yet
  net::Timer work_timer_;
  net::Deferred work_deferred_;
  net::Timer end_timer_;
  std::optional<Takeover> takeover_;
  bool failed_ = false;
  std::list<net::Signal> signals_;
};

}  // namespace stickmesh::daemon
