#pragma once

#include <list>
#include <memory>
#include <string>

#include "agent/admin/commands.h"
#include "agent/base/error_log.h"
#include "agent/config/config.h"
#include "agent/daemon/dialler.h"
#include "agent/daemon/peer_sessions.h"
#include "agent/daemon/snapshots.h"
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
  App(const config::Config& config, std::string config_file);
  App(const App&) = delete;
  App& operator=(const App&) = delete;
  ~App();

  /// Opens the listeners. An error says what to do; nothing is served then.
  Result<void> start();
  /// Returns after SIGTERM or SIGINT.
  void run();

 private:
  Result<void> restore_runtime();
  Result<void> protect_peers();
  Result<void> listen_for_peers();
  Result<void> listen_for_commands();
  Result<void> start_diallers();
  void work();
  void stop(const char* signal);

  const config::Config& config_;
  net::Loop loop_;
  ErrorLog errors_;
  pipeline::Rules rules_;
  pipeline::Registry registry_;
  pipeline::Hub hub_;
  PeerSessions sessions_;
  Snapshots snapshots_;
  admin::Commands commands_;
  net::ConnectionSet peers_;
  net::ConnectionSet admins_;
  std::list<net::Listener> listeners_;
  std::list<Dialler> diallers_;
  net::Timer work_timer_;
  net::Deferred work_deferred_;
  std::list<net::Signal> signals_;
};

}  // namespace stickmesh::daemon
