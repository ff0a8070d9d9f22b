#include "agent/daemon/dialler.h"

#include <fmt/format.h>

namespace stickmesh::daemon {

namespace {

constexpr Duration kConnectTime{2000};

}  // namespace

Dialler::Dialler(net::Loop& loop, pipeline::Hub& hub, PeerSessions& sessions, net::ConnectionSet& connections,
                 pipeline::Peer& peer, const net::SocketAddress& address)
    : loop_(loop),
      hub_(hub),
      sessions_(sessions),
      connections_(connections),
      peer_(peer),
      address_(address),
      connector_(loop, [this](Result<net::UniqueFd> socket) { connected(std::move(socket)); }),
      timer_(loop, [this] { dial(); }) {}

void Dialler::dial() {
  if (peer_.link != nullptr || connector_.busy() || handshaking_) return;
  if (connections_.suspended()) return retry();
  connector_.start(address_, kConnectTime);
}

void Dialler::connected(Result<net::UniqueFd> socket) {
  if (!socket) {
    peer_.note = to_string(socket.error());
    hub_.errors().record(socket.error(), fmt::format("peer {}", peer_.setup.name), loop_.now());
    return retry();
  }
  // Meanwhile it may have dialled us.
  if (peer_.link != nullptr) return;
  handshaking_ = true;
  connections_.add(std::move(*socket), address_, sessions_.dial(peer_, address_, loop_.now()),
                   [this](net::Connection&, const Error&) {
                     handshaking_ = false;
                     if (peer_.link == nullptr && !timer_.active()) retry();
                   });
}

void Dialler::session_ended() {
  backoff_.reset();
  retry();
}

void Dialler::retry() {
  timer_.set(loop_.now() + backoff_.next());
}

}  // namespace stickmesh::daemon
