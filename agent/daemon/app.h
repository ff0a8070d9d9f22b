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
#include "agent/daemon/service_manager.h"
#include "agent/daemon/snapshots.h"
#include "agent/daemon/sockets.h"
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
  App(const config::Config& config, const std::string& config_file, std::string program);
  App(const App&) = delete;
  App& operator=(const App&) = delete;
  ~App();

  /// Opens the listeners, but for those that the service manager has |activated|. An error says what to do;
  /// nothing is served then.
  Result<void> start(std::vector<net::UniqueFd> activated);
  /// The same for the new process of a soft restart, which serves once the old one says so.
  Result<void> start_take_over();
  /// Returns after SIGTERM or SIGINT, or once another process has taken over. False when this one was to take
  /// over, and could not, or when it leaves no snapshot of its end.
  bool run();

 private:
  /// What `start` has to do in any case, before anything is known.
  Result<void> begin(bool taking_over = false);
  /// Makes what is served, but lets it wait.
  Result<void> prepare();
  void serve();
  void freeze();
  void thaw();
  void retire(pid_t successor);
  void leave();
  /// The service manager's line of an agent that is well.
  std::string serving_line() const;
  /// Nothing comes of a soft restart.
  void stays(std::string_view why);
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
  Handover::Listening listening() const;
  /// This process is to take over, and does not serve yet.
  bool waiting() const { return takeover_ && takeover_->waiting(); }
  void work();
  void stop(const char* signal);
  void end();

  const config::Config& config_;
  const std::string config_time_;  ///< when it was read
  net::Loop loop_;
  ServiceManager service_manager_;
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
  Sockets sockets_;
  net::Timer work_timer_;
  net::Deferred work_deferred_;
  net::Timer end_timer_;
  TimePoint retired_at_{};
  std::optional<Takeover> takeover_;
  bool failed_ = false;
  std::list<net::Signal> signals_;
};

}  // namespace stickmesh::daemon
