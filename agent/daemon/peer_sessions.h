#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/config/config.h"
#include "agent/net/socket_address.h"
#include "agent/pipeline/hub.h"
#include "agent/tls/context.h"
#include "agent/tls/secure_session.h"

namespace stickmesh::daemon {

/// The certificates of |tls|, which the config calls |section|; null without any. An error reads
/// `FILE:LINE: SECTION.KEY: ...`.
Result<std::unique_ptr<tls::Context>> load_tls(const config::Tls& tls, std::string_view section,
                                               const std::string& config_file);
/// What is strange about them, in the same form.
std::vector<std::string> peers_tls_doubts(const tls::Context* context, const config::Config& config,
                                          const std::string& config_file);

/// Makes the session of each connection with a peer: that of the hub, within TLS where the config says so. A
/// UNIX socket has none: its file says who may connect.
class PeerSessions {
 public:
  explicit PeerSessions(pipeline::Hub& hub) : hub_(hub) {}
  PeerSessions(const PeerSessions&) = delete;
  PeerSessions& operator=(const PeerSessions&) = delete;

  /// From now on connections over TCP are TLS. To be called before the first of them.
  void protect(std::unique_ptr<tls::Context> context) { context_ = std::move(context); }

  std::unique_ptr<Session> accept(const net::SocketAddress& from, TimePoint now);
  std::unique_ptr<Session> dial(pipeline::Peer& peer, const net::SocketAddress& to, TimePoint now);

 private:
  pipeline::Hub& hub_;
  std::unique_ptr<tls::Context> context_;
};

}  // namespace stickmesh::daemon
