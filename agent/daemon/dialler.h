#pragma once

#include "agent/daemon/peer_sessions.h"
#include "agent/net/backoff.h"
#include "agent/net/connection_set.h"
#include "agent/net/connector.h"
#include "agent/net/loop.h"
#include "agent/net/timer.h"
#include "agent/pipeline/hub.h"

namespace stickmesh::daemon {

/// Keeps a session with one peer that has an address: dials when there is none, less and less often while it
/// fails.
class Dialler {
 public:
  Dialler(net::Loop& loop, pipeline::Hub& hub, PeerSessions& sessions, net::ConnectionSet& connections,
          pipeline::Peer& peer, const net::SocketAddress& address);
  Dialler(const Dialler&) = delete;
  Dialler& operator=(const Dialler&) = delete;

  void start() { timer_.set(loop_.now()); }
  const pipeline::Peer& peer() const { return peer_; }
  /// The peer's session has ended, whoever had made it.
  void session_ended();

 private:
  void dial();
  void connected(Result<net::UniqueFd> socket);
  void retry();

  net::Loop& loop_;
  pipeline::Hub& hub_;
  PeerSessions& sessions_;
  net::ConnectionSet& connections_;
  pipeline::Peer& peer_;
  net::SocketAddress address_;
  net::Connector connector_;
  net::Timer timer_;
  net::Backoff backoff_;
  bool handshaking_ = false;
};

}  // namespace stickmesh::daemon
