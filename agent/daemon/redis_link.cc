#include "agent/daemon/redis_link.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "agent/base/host_name.h"
#include "agent/tls/secure_session.h"

namespace stickmesh::daemon {

namespace {

constexpr Duration kHandshakePatience{2000};

}  // namespace

RedisLink::RedisLink(net::Loop& loop, const RedisAccess& access, redis::SessionUser& user, OnEnd on_end)
    : loop_(loop),
      access_(access),
      user_(user),
      on_end_(std::move(on_end)),
      connector_(loop, [this](Result<net::UniqueFd> socket) { connected(std::move(socket)); }) {}

void RedisLink::dial(const net::SocketAddress& address, Duration patience) {
  address_ = address;
  connector_.start(address_, patience);
}

void RedisLink::end(const Error& why) {
  connector_.cancel();
  if (connection_) connection_->close(why);
}

void RedisLink::drop() {
  connector_.cancel();
  session_ = nullptr;
  if (connection_) loop_.bury(std::move(connection_));
}

void RedisLink::connected(Result<net::UniqueFd> socket) {
  if (!socket) return on_end_(socket.error());
  // What this connection could not send must not arrive after what the next one sends.
  const linger none{1, 0};
  ::setsockopt(socket->get(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
  connection_ = std::make_unique<net::Connection>(
      loop_, std::move(*socket), address_, access_.tls && address_.is_ip() ? protect() : make_session(),
      [this](net::Connection&, const Error& why) {
        session_ = nullptr;
        loop_.bury(std::move(connection_));
        on_end_(why);
      });
}

std::unique_ptr<Session> RedisLink::make_session() {
  auto session = std::make_unique<redis::RedisSession>(access_.login, user_, loop_.now());
  session_ = session.get();
  return session;
}

std::unique_ptr<Session> RedisLink::protect() {
  tls::Setup setup;
  setup.role = tls::Role::kDialling;
  setup.name = access_.hosts.front();
  setup.handshake_timeout = kHandshakePatience;
  setup.failed = [](const Error&, TimePoint) {};  // its connection says it, too
  setup.begin = [this](const tls::Certified& certified) -> Result<std::unique_ptr<Session>> {
    const auto ours = [this](const auto& name) {
      return std::any_of(access_.hosts.begin(), access_.hosts.end(),
                         [&](const std::string& host) { return same_host_name(name, host); });
    };
    if (!certified || std::any_of(certified->begin(), certified->end(), ours)) return make_session();
    return refuse(
        Reason::kWrongCertificate,
        fmt::format("its certificate does not carry the name '{0}': issue it with subjectAltName = DNS:{0}, "
                    "or give the name that it has in redis.address",
                    fmt::join(access_.hosts, "' or '")));
  };
  return std::make_unique<tls::SecureSession>(*access_.tls, std::move(setup), loop_.now());
}

}  // namespace stickmesh::daemon
