#include "agent/daemon/redis_inlet.h"

#include <fmt/format.h>

#include <array>
#include <iterator>
#include <utility>
#include <vector>

#include "agent/redis/words.h"

namespace stickmesh::daemon {

namespace {

/// A subscription that is cut off says nothing, else; and a server may end connections that say nothing.
constexpr Duration kPingEvery{1000};
/// Announced keys that wait: for more, all are read.
constexpr std::size_t kMaxWaiting = 10'000;
constexpr std::size_t kBatch = 500;
/// A key that another server has, or will have, is read again, unless it is that one's by then.
constexpr Duration kMovedEvery{500};

}  // namespace

RedisInlet::RedisInlet(net::Loop& loop, const RedisAccess& access, redis::Intake& intake,
                       std::function<bool(std::string_view key)> mine, OnFailure on_failure)
    : loop_(loop),
      intake_(intake),
      mine_(std::move(mine)),
      on_failure_(std::move(on_failure)),
      walk_(intake.walk(reader())),
      dial_timer_(loop, [this] { dial(); }),
      ping_timer_(loop, [this] { ping(); }),
      moved_timer_(loop,
                   [this] {
                     waiting_.merge(moved_);
                     moved_.clear();
                     read_on(loop_.now());
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
  hears_ = connected_ = pinged_ = false;
  work_ = Work::kNothing;
  dial_timer_.stop();
  ping_timer_.stop();
  moved_timer_.stop();
  const Error why{Reason::kConnectionLost, "it is not listened to any more"};
  listening_.end(why);
  reading_.end(why);
}

// What is announced before the other connection reads is read again; the other way round it would be missed.
void RedisInlet::dial() {
  wants_all_ = true;
  waiting_.clear();
  moved_.clear();
  sweep_.reset();
  listening_.dial(*address_, kRedisConnectTime);
}

void RedisInlet::ping() {
  if (!hears_) return;
  constexpr std::array<std::string_view, 1> kPing{"PING"};
  listening_.session()->send(kPing, loop_.now());
  if (connected_ && work_ == Work::kNothing && !pinged_) {
    pinged_ = true;
    reading_.session()->send(kPing, loop_.now());
  }
  ping_timer_.set(loop_.now() + kPingEvery);
}

redis::Intake::Reader RedisInlet::reader() {
  return {mine_, [this](const std::string& key, const redis::Reply& error) { moved(key, error); },
          [this](const std::string& key) {
            waiting_.insert(key);
            return true;
          }};
}

// Of a key that only a sweep looks for there may be too many: they stay until their slot has moved.
void RedisInlet::moved(const std::string& key, const redis::Reply& error) {
  if (moved_.size() < kMaxWaiting) moved_.insert(key);
  if (moved_timer_.active()) return;
  moved_timer_.set(loop_.now() + kMovedEvery);
  on_failure_(
      {Reason::kRedis, fmt::format("{}: another node has a key that others write, or will have it: it "
                                   "is read again soon",
                                   redis::kind_of(error.text))});
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
  if (kind == "message" && reply.list.size() == 3) {
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
  if (!connected_ || work_ != Work::kNothing) return;
  if (std::exchange(wants_all_, false)) {
    sweep_.reset();
    work_ = Work::kSince;
    return ask_time(now);
  }
  if (sweep_) {
    auto keys = intake_.unseen(*sweep_, mine_, kBatch);
    if (!keys.empty()) return read(std::move(keys), now);
    sweep_.reset();
  }
  std::vector<std::string> keys;
  while (!waiting_.empty() && keys.size() < kBatch) {
    std::string key = std::move(waiting_.extract(waiting_.begin()).value());
    // Its slot may have moved meanwhile.
    if (mine_(key)) keys.push_back(std::move(key));
  }
  if (!keys.empty()) read(std::move(keys), now);
}

void RedisInlet::read(std::vector<std::string> keys, TimePoint now) {
  work_ = Work::kSome;
  walk_.read(*reading_.session(), std::move(keys), now);
}

void RedisInlet::ask_time(TimePoint now) {
  reading_.session()->send(std::array<std::string_view, 1>{"TIME"}, now);
}

Result<void> RedisInlet::take_time(const redis::Reply& reply, TimePoint now) {
  if (reply.error()) return refuse(Reason::kRedis, redis::explain(reply.text));
  const auto time = redis::Intake::time_of(reply);
  if (!time) return refuse(Reason::kRedis, "protocol: its answer to TIME is no time");
  if (work_ == Work::kSince) {
    times_.since = *time;
    work_ = Work::kAll;
    walk_.begin(*reading_.session(), now);
  } else {
    times_.until = *time;
    sweep_ = times_;
    work_ = Work::kNothing;
    backoff_.reset();
  }
  return {};
}

void RedisInlet::ready(const redis::Server& /*server*/, TimePoint now) {
  connected_ = true;
  read_on(now);
}

Result<void> RedisInlet::replied(const redis::Reply& reply, TimePoint now) {
  if (std::exchange(pinged_, false)) {
    if (reply.error() && redis::stops_all(reply.text))
      return refuse(Reason::kRedis, redis::explain(reply.text));
    return {};
  }
  if (work_ == Work::kNothing) return {};
  if (work_ == Work::kSince || work_ == Work::kUntil) return take_time(reply, now);
  auto read = walk_.replied(*reading_.session(), reply, now);
  if (!read || !walk_.done()) return read;
  if (work_ == Work::kAll) {
    work_ = Work::kUntil;
    ask_time(now);
  } else {
    work_ = Work::kNothing;
    backoff_.reset();
  }
  return {};
}

void RedisInlet::settled(TimePoint now) {
  read_on(now);
}

std::string_view RedisInlet::state() const {
  if (!address_) return "away";
  if (!hears_) return listening_.session() != nullptr ? "subscribing" : "connecting";
  if (!connected_) return "connecting";
  const bool all = wants_all_ || sweep_ || (work_ != Work::kNothing && work_ != Work::kSome);
  return all ? "reading all" : "subscribed";
}

}  // namespace stickmesh::daemon
