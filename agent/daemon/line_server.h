#pragma once

#include "agent/admin/numbers_source.h"
#include "agent/config/config.h"
#include "agent/events/line_session.h"
#include "agent/net/connection_set.h"
#include "agent/pipeline/hub.h"

namespace stickmesh::daemon {

/// Serves the connections of `[events] listen`, on which stickmesh.lua in HAProxy ships what it is told to
/// report. The listeners are the app's. Nobody is answered, so nobody misses a connection that ends: the
/// other side dials anew when it has something to say.
class LineServer final : public admin::NumbersSource {
 public:
  LineServer(net::Loop& loop, pipeline::Hub& hub);

  void accept(net::UniqueFd socket, const net::SocketAddress& from);

  /// Nothing is read until `resume`.
  void suspend() { connections_.suspend(); }
  void resume() { connections_.resume(); }
  /// Another process is in charge, and knows what was counted; the other sides dial that. What has arrived
  /// while this one was suspended is lost: it may not count any more.
  void drop_all() { connections_.drop_all(); }
  void close_all(const Error& why) { connections_.close_all(why); }

  std::vector<std::pair<std::string, std::uint64_t>> numbers() const override;

 private:
  net::Loop& loop_;
  pipeline::Hub& hub_;
  events::TrackCounter counter_;
  std::uint64_t accepted_ = 0;
  net::ConnectionSet connections_;  ///< last: its connections end within the others
};

}  // namespace stickmesh::daemon
