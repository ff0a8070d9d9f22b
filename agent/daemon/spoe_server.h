#pragma once

#include <functional>
#include <string>
#include <unordered_map>

#include "agent/admin/spoe_source.h"
#include "agent/base/recent_times.h"
#include "agent/config/config.h"
#include "agent/daemon/spoe_sockets.h"
#include "agent/net/connection_set.h"
#include "agent/net/timer.h"
#include "agent/pipeline/hub.h"
#include "spoe/events/event_handler.h"
#include "spoe/session/session.h"

namespace stickmesh::daemon {

/// Serves the connections of `[spoe] listen`, whose listeners are the app's.
class SpoeServer final : public admin::SpoeSource {
 public:
  SpoeServer(net::Loop& loop, pipeline::Hub& hub, const config::Spoe& config);

  /// Who handles messages that are not built in; must outlive it.
  void set_hooks(spoe::OtherMessages& hooks) { handler_.set_others(hooks); }

  void accept(net::UniqueFd socket, const net::SocketAddress& from);

  /// While suspended: the connections as another process can go on with them, if it does before `resume`.
  std::vector<SpoeSocket> sockets() const;
  /// Such connections, from another process: kept until `serve_kept`.
  Result<void> keep(std::vector<net::UniqueFd> parcel);
  void serve_kept();

  /// Nothing is read or written until `resume`.
  void suspend() { connections_.suspend(); }
  /// This process is in charge.
  void resume();
  /// Another process serves the connections that `sockets` had, or has begun to: they are let go.
  void hand_on();

  /// Whether a soft stop would have to wait for somebody.
  bool in_use() const;
  /// Soft stop: health checks fail, so that HAProxy goes elsewhere, events are answered on, and connections
  /// are closed when they are idle; those that never are, after |patience|. Calls |done| once nobody has
  /// been there for a while.
  void drain(Duration patience, std::function<void()> done);
  bool draining() const { return handler_.draining(); }

  admin::SpoeOverview overview(TimePoint now) const override;

 private:
  struct Client {
    std::string address;
    TimePoint since;
    net::Connection* connection = nullptr;
  };

  void add(net::UniqueFd socket, const net::SocketAddress& from, std::unique_ptr<spoe::SpoeSession> session);
  void closed(const spoe::SpoeSession& session, const Error& why);
  void look_for_the_end();
  void note_answer_time(std::uint64_t events, TimePoint since);

  net::Loop& loop_;
  pipeline::Hub& hub_;
  spoe::Options options_;
  spoe::EventHandler handler_;
  std::unordered_map<spoe::SpoeSession*, Client> clients_;
  spoe::Counters past_;  ///< of connections that have ended
  RecentTimes answer_times_;
  std::vector<ReceivedSpoeSocket> kept_;
  const bool listens_;
  std::uint64_t accepted_ = 0;
  std::uint64_t health_checks_ = 0;
  net::Timer drain_timer_;
  TimePoint drain_end_{};
  TimePoint last_used_{};
  bool out_of_patience_ = false;
  std::function<void()> drained_;
  net::ConnectionSet connections_;  ///< last: its connections end within the others
};

}  // namespace stickmesh::daemon
