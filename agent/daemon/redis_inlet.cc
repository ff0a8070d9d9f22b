#include "agent/daemon/redis_inlet.h"

#include <array>
#include <iterator>
#include <utility>
#include <vector>

#include "agent/redis/words.h"

namespace stickmesh::daemon {

namespace {

/// A subscription that is cut off says nothing, else.
constexpr Duration kPingEvery{3000};
/// Announced keys that wait: for more, all are read.
constexpr std::size_t kMaxWaiting = 10'000;
constexpr std::size_t kBatch = 500;

}  // namespace

RedisInlet::RedisInlet(net::Loop& loop, const RedisAccess& access, redis::Intake& intake,
                       std::function<bool(std::string_view key)> mine, OnFailure on_failure)
    : loop_(loop),
      intake_(intake),
      mine_(std::move(mine)),
      on_failure_(std::move(on_failure)),
      walk_(intake.walk(mine_)),
      dial_timer_(loop, [this] { dial(); }),
      ping_timer_(loop,
                  [this] {
                    if (!hears_) return;
                    listening_.session()->send(std::array<std::string_view, 1>{"PING"}, loop_.now());
                    ping_timer_.set(loop_.now() + kPingEvery);
                  }),
      ear_(*this),
      listening_(loop, access, ear_, [this](const Error& why) { failed(why); }),
      reading_(loop, access, *this, [this](const Error& why) { failed(why); }) {}

void RedisInlet::start(const net::SocketAddress& address) {
  stop();
  address_ = address;
  dial();
}

void RedisInlet::stop() {
  address_.reset();
  hears_ = connected_ = reads_ = reads_all_ = asked_time_ = false;
  dial_timer_.stop();
  ping_timer_.stop();
  const Error why{Reason::kConnectionLost, "it is not listened to any more"};
  listening_.end(why);
  reading_.end(why);
}

// What is announced before the other connection reads is read again; the other way round it would be missed.
void RedisInlet::dial() {
  wants_all_ = true;
  waiting_.clear();
  listening_.dial(*address_, kRedisConnectTime);
}

void RedisInlet::failed(const Error& why) {
  if (!address_) return;
  const net::SocketAddress address = *address_;
  stop();
  address_ = address;
  dial_timer_.set(loop_.now() + backoff_.next());
  on_failure_(why);
}

void RedisInlet::Ear::ready(const redis::Server& /*server*/, TimePoint now) {
  redis::RedisSession& session = *inlet_.listening_.session();
  session.send(std::array<std::string_view, 2>{"SUBSCRIBE", inlet_.intake_.channel()}, now);
  session.expect_messages();
}

Result<void> RedisInlet::Ear::replied(const redis::Reply& reply, TimePoint now) {
  if (reply.error()) return refuse(Reason::kRedis, redis::explain(reply.text));
  const std::string kind = reply.list.empty() ? std::string() : reply.list[0].text;
  if (kind == "message") {
    inlet_.hear(reply.list[2].text, now);
  } else if (kind == "subscribe") {
    inlet_.hears_ = true;
    inlet_.ping_timer_.set(now + kPingEvery);
    inlet_.reading_.dial(*inlet_.address_, kRedisConnectTime);
  }
  return {};
}

void RedisInlet::Ear::settled(TimePoint now) {
  inlet_.read_on(now);
}

void RedisInlet::hear(const std::string& announced, TimePoint now) {
  auto key = intake_.key_of(announced, now);
  if (!key || !mine_(*key)) return;
  waiting_.insert(std::move(*key));
  if (waiting_.size() <= kMaxWaiting) return;
  waiting_.clear();
  wants_all_ = true;
}

void RedisInlet::read_all() {
  wants_all_ = true;
  read_on(loop_.now());
}

void RedisInlet::read_on(TimePoint now) {
  if (!connected_ || reads_) return;
  redis::RedisSession& session = *reading_.session();
  if (std::exchange(wants_all_, false)) {
    reads_ = reads_all_ = true;
    asked_time_ = true;
    session.send(std::array<std::string_view, 1>{"TIME"}, now);
  } else if (!waiting_.empty()) {
    reads_ = true;
    std::vector<std::string> keys;
    while (!waiting_.empty() && keys.size() < kBatch) {
      keys.push_back(std::move(waiting_.extract(waiting_.begin()).value()));
    }
    walk_.read(session, std::move(keys), now);
  }
}

void RedisInlet::ready(const redis::Server& /*server*/, TimePoint now) {
  connected_ = true;
  read_on(now);
}

Result<void> RedisInlet::replied(const redis::Reply& reply, TimePoint now) {
  if (!reads_) return {};
  if (std::exchange(asked_time_, false)) {
    if (reply.error()) return refuse(Reason::kRedis, redis::explain(reply.text));
    since_ = redis::Intake::time_of(reply);
    if (!since_) return refuse(Reason::kRedis, "protocol: its answer to TIME is no time");
    walk_.begin(*reading_.session(), now);
    return {};
  }
  auto read = walk_.replied(*reading_.session(), reply, now);
  if (!read || !walk_.done()) return read;
  reads_ = false;
  backoff_.reset();
  if (std::exchange(reads_all_, false)) intake_.sweep(*since_, mine_, now);
  return {};
}

void RedisInlet::settled(TimePoint now) {
  read_on(now);
}

std::string_view RedisInlet::state() const {
  if (!address_) return "away";
  if (!hears_) return listening_.session() != nullptr ? "subscribing" : "connecting";
  return reads_all_ ? "reading all" : connected_ ? "subscribed" : "connecting";
}

}  // namespace stickmesh::daemon
