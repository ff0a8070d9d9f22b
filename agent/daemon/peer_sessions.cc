#include "agent/daemon/peer_sessions.h"

#include <fmt/format.h>

#include <utility>

#include "agent/daemon/source.h"

namespace stickmesh::daemon {

Result<std::unique_ptr<tls::Context>> load_tls(const config::Tls& tls, std::string_view section,
                                               const std::string& config_file) {
  if (!tls.enabled()) return nullptr;
  auto context = tls::Context::load({tls.cert, tls.key, tls.ca, tls.verify == config::Verify::kRequired});
  if (!context) {
    return refuse(context.error().reason,
                  fmt::format("{}:{}: {}.{}", config_file, tls.line.number, section, context.error().detail));
  }
  return context;
}

std::vector<std::string> peers_tls_doubts(const tls::Context* context, const config::Config& config,
                                          const std::string& config_file) {
  std::vector<std::string> all;
  if (context == nullptr) return all;
  const config::Tls& tls = config.peers.tls;
  for (const std::string& doubt : context->doubts(config.agent.name)) {
    all.push_back(
        fmt::format("{}:{}: peers.tls.cert: {}: {}", config_file, tls.line.number, tls.cert, doubt));
  }
  return all;
}

// A handshake and the hello behind it share one deadline: both begin with the connection.
std::unique_ptr<Session> PeerSessions::accept(const net::SocketAddress& from, TimePoint now) {
  pipeline::Source source = source_of(from);
  if (!context_ || !from.is_ip()) return hub_.accept(std::move(source), now);
  tls::Setup setup;
  setup.role = tls::Role::kAccepting;
  setup.handshake_timeout = peers::Options{}.handshake_timeout;
  setup.failed = [this, source](const Error& why, TimePoint when) {
    hub_.turned_away(source, /*dialled=*/nullptr, why, when);
  };
  setup.begin = [this, source = std::move(source), now](tls::Certified certified) mutable {
    source.certified = std::move(certified);
    return hub_.accept(std::move(source), now);
  };
  return std::make_unique<tls::SecureSession>(*context_, std::move(setup), now);
}

std::unique_ptr<Session> PeerSessions::dial(pipeline::Peer& peer, const net::SocketAddress& to,
                                            TimePoint now) {
  pipeline::Source source = source_of(to);
  if (!context_ || !to.is_ip()) return hub_.dial(peer, std::move(source), now);
  tls::Setup setup;
  setup.role = tls::Role::kDialling;
  setup.name = peer.setup.name;
  setup.handshake_timeout = peers::Options{}.handshake_timeout;
  setup.failed = [this, source, &peer](const Error& why, TimePoint when) {
    hub_.turned_away(source, &peer, why, when);
  };
  setup.begin = [this, source = std::move(source), &peer,
                 now](tls::Certified certified) mutable -> Result<std::unique_ptr<Session>> {
    source.certified = std::move(certified);
    if (auto its = hub_.check_certificate(source, peer.setup.name); !its) return tl::unexpected(its.error());
    return hub_.dial(peer, std::move(source), now);
  };
  return std::make_unique<tls::SecureSession>(*context_, std::move(setup), now);
}

}  // namespace stickmesh::daemon
