#include "agent/daemon/redis_client.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <utility>

#include "agent/base/host_name.h"
#include "agent/base/log.h"
#include "agent/base/printable.h"
#include "agent/redis/words.h"

namespace stickmesh::daemon {

namespace {

constexpr Duration kPatience{2000};
/// A connection that was good for so long has the next one follow at once.
constexpr Duration kGood{1000};
constexpr std::size_t kMaxPassword = 4096;
/// The server chooses the words of its errors.
constexpr std::size_t kMaxKinds = 64;
constexpr std::size_t kMaxKind = 32;

}  // namespace

Result<std::string> redis_password(const config::Redis& config) {
  if (config.password_file.empty()) {
    const char* given = std::getenv("STICKMESH_REDIS_PASSWORD");
    return given == nullptr ? std::string() : std::string(given);
  }
  std::ifstream file(config.password_file);
  std::string password;
  if (!file || !std::getline(file, password)) {
    const int error = file.is_open() ? 0 : errno;
    return refuse(Reason::kSystem, fmt::format("redis.password-file: {}: {}", config.password_file,
                                               error == 0 ? "it has no line" : std::strerror(error)));
  }
  if (password.ends_with('\r')) password.pop_back();
  if (password.size() > kMaxPassword) {
    return refuse(Reason::kSystem,
                  fmt::format("redis.password-file: {}: its first line is longer than {} bytes",
                              config.password_file, kMaxPassword));
  }
  return password;
}

RedisClient::RedisClient(net::Loop& loop, pipeline::Hub& hub, const config::Redis& config,
                         std::vector<net::SocketAddress> addresses, std::string password,
                         std::unique_ptr<tls::Context> tls)
    : loop_(loop),
      hub_(hub),
      address_(addresses.front()),
      host_(config.sentinel.empty() ? config.address.front().host : config.sentinel),
      tls_(std::move(tls)),
      flush_interval_(config.flush_interval),
      login_{config.user, std::move(password), config.db, "stickmesh-" + hub.setup().agent_name},
      mirror_(hub, {config.prefix, config.restore, config.publish}),
      prefix_(config.prefix),
      connector_(loop, [this](Result<net::UniqueFd> socket) { connected(std::move(socket)); }),
      dial_timer_(loop, [this] { dial(); }),
      flush_timer_(loop, [this] { flush(); }),
      restore_timer_(loop,
                     [this] {
                       end_restore("it took too long");
                       if (session_ != nullptr)
                         session_->end({Reason::kIdleTimeout, "what it has kept was not read in time"});
                     }),
      slice_(loop, [this] {
        loop_.refresh();
        fill();
      }) {
  if (config.sentinel.empty()) return;
  sentinels_.emplace(loop, std::move(addresses), config.sentinel, [this](Result<net::SocketAddress> master) {
    if (!master) return failed(master.error(), loop_.now());
    address_ = *master;
    connector_.start(address_, kPatience);
  });
}

RedisClient::~RedisClient() {
  stop();
}

void RedisClient::restore_first(Duration patience, std::function<void()> done) {
  restore_.emplace(hub_, prefix_, loop_.now());
  restored_ = std::move(done);
  hub_.set_restoring(true);
  restore_timer_.set(loop_.now() + patience);
}

void RedisClient::end_restore(std::string_view why) {
  if (!restore_) return;
  const auto [restored, damaged] = restore_->finish();
  log::notice("Redis: {} contributions restored; {} had expired, {} were left out, {} were damaged{}{}",
              restored.restored, restored.expired, restored.left_out, damaged, why.empty() ? "" : "; ", why);
  restore_.reset();
  hub_.set_restoring(false);
  hub_.wake();
  restore_timer_.stop();
  std::exchange(restored_, {})();
}

void RedisClient::start() {
  stopped_ = false;
  dial_timer_.set(loop_.now());
  flush_timer_.set(loop_.now());
}

void RedisClient::stop() {
  stopped_ = true;
  if (sentinels_) sentinels_->cancel();
  connector_.cancel();
  dial_timer_.stop();
  flush_timer_.stop();
  restore_timer_.stop();
  slice_.cancel();
  if (connection_) connection_->close({Reason::kConnectionLost, "this agent stops"});
}

void RedisClient::dial() {
  if (sentinels_) return sentinels_->ask();
  connector_.start(address_, kPatience);
}

void RedisClient::connected(Result<net::UniqueFd> socket) {
  if (!socket) return failed(socket.error(), loop_.now());
  ++connections_;
  // What this connection could not send must not arrive after what the next one sends.
  const linger none{1, 0};
  ::setsockopt(socket->get(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
  connection_ = std::make_unique<net::Connection>(loop_, std::move(*socket), address_,
                                                  tls_ && address_.is_ip() ? protect() : make_session(),
                                                  [this](net::Connection&, const Error& why) {
                                                    session_ = nullptr;
                                                    loop_.bury(std::move(connection_));
                                                    if (!stopped_) failed(why, loop_.now());
                                                  });
}

std::unique_ptr<Session> RedisClient::make_session() {
  redis::SessionUser& user = *this;
  auto session = std::make_unique<redis::RedisSession>(login_, user, loop_.now());
  session_ = session.get();
  return session;
}

std::unique_ptr<Session> RedisClient::protect() {
  tls::Setup setup;
  setup.role = tls::Role::kDialling;
  setup.name = host_;
  setup.handshake_timeout = kPatience;
  setup.failed = [](const Error&, TimePoint) {};  // its connection says it, too
  setup.begin = [this](const tls::Certified& certified) -> Result<std::unique_ptr<Session>> {
    const bool right =
        !certified || std::any_of(certified->begin(), certified->end(),
                                  [this](const auto& name) { return same_host_name(name, host_); });
    if (right) return make_session();
    return refuse(
        Reason::kWrongCertificate,
        fmt::format("its certificate does not carry the name '{0}': issue it with subjectAltName = DNS:{0}, "
                    "or give the name that it has in redis.address",
                    host_));
  };
  return std::make_unique<tls::SecureSession>(*tls_, std::move(setup), loop_.now());
}

void RedisClient::count(std::string_view kind) {
  const std::string name = readable(kind, kMaxKind);
  ++errors_[errors_.size() < kMaxKinds || errors_.contains(name) ? name : std::string("other")];
}

void RedisClient::failed(const Error& why, TimePoint now) {
  count(why.reason == Reason::kRedis ? redis::kind_of(why.detail) : reason_name(why.reason));
  last_error_ = to_string(why);
  hub_.errors().record(why, fmt::format("Redis at {}", address_.to_string()), now);
  // One that is just loading, or slow, may still be there in time.
  const bool may_come = why.reason == Reason::kRedis ? redis::kind_of(why.detail) == "LOADING"
                                                     : why.reason != Reason::kConnectFailed;
  if (!may_come) end_restore("it cannot be read");
  dial_timer_.set(now + backoff_.next());
}

void RedisClient::ready(const redis::Server& server, TimePoint now) {
  // During a failover sentinels may still name the one that was it before.
  if (sentinels_ && server.role != "master") {
    return session_->end({Reason::kRedis, fmt::format("READONLY: it is a {}, not the master", server.role)});
  }
  ready_ = true;
  ready_since_ = now;
  server_ = server;
  log::notice("Redis {} at {} ({}) is connected", server.version, address_.to_string(), server.role);
  if (restore_) return restore_->begin(*session_, now);
  begin_mirror(now);
}

void RedisClient::begin_mirror(TimePoint now) {
  mirror_.begin(server_, now);
  mirroring_ = true;
}

void RedisClient::fill() {
  if (!mirroring_) return;
  mirror_.fill(*session_, loop_.now());
  if (mirror_.can_go_on(*session_)) slice_.schedule();
}

void RedisClient::flush() {
  mirror_.follow(loop_.now());
  fill();
  flush_timer_.set(loop_.now() + flush_interval_);
}

Result<void> RedisClient::replied(const redis::Reply& reply, TimePoint now) {
  if (!mirroring_) {
    // The session of a restore that was given up is over.
    if (!restore_) return {};
    auto restored = restore_->replied(*session_, reply, now);
    if (restored && restore_->done()) {
      end_restore({});
      begin_mirror(now);
    }
    return restored;
  }
  auto outcome = mirror_.replied(reply, now);
  // What ends the session is counted there.
  if (outcome && reply.error()) {
    count(redis::kind_of(reply.text));
    last_error_ = redis::explain(reply.text);
  }
  return outcome;
}

void RedisClient::settled(TimePoint now) {
  if (now - ready_since_ >= kGood) backoff_.reset();
  if (mirroring_ && mirror_.can_go_on(*session_)) slice_.schedule();
}

void RedisClient::ended(const Error& /*why*/, TimePoint /*now*/) {
  ready_ = false;
  if (std::exchange(mirroring_, false)) mirror_.ended();
}

std::string_view RedisClient::state() const {
  if (ready_) return restore_ ? "restoring" : "connected";
  if (session_ != nullptr) return "logging in";
  if (sentinels_ && sentinels_->busy()) return "asking the sentinels";
  if (connector_.busy()) return "connecting";
  return dial_timer_.active() ? "away: it is dialled again soon" : "stopped";
}

admin::RedisOverview RedisClient::overview(TimePoint now) const {
  const redis::Mirror::Standing standing = mirror_.standing(now);
  admin::RedisOverview all;
  const auto line = [&](const char* name, const auto& value) {
    all.lines.emplace_back(name, fmt::format("{}", value));
  };
  line("Address", address_.to_string());
  line("State", state());
  line("Server", ready_ ? fmt::format("{} {}", server_.version, server_.role) : std::string("-"));
  line("In_flight", session_ != nullptr ? session_->in_flight() : 0);
  line("Behind", standing.behind);
  line("Contributions_behind", standing.contributions_behind);
  line("Behind_ms", standing.behind_for.count());
  line("Writes_per_second", standing.per_second);
  line("Written_total", standing.written);
  line("Removed_total", standing.removed);
  line("Refused_total", standing.refused);
  line("Written_anew_total", standing.rewritten);
  line("Connections_total", connections_);
  line("Last_error", last_error_.empty() ? std::string("-") : last_error_);
  all.errors.assign(errors_.begin(), errors_.end());
  return all;
}

}  // namespace stickmesh::daemon
