#include "agent/daemon/redis_node.h"

#include <fmt/format.h>

#include <utility>

#include "agent/base/log.h"

namespace stickmesh::daemon {

namespace {

/// A connection that was good for so long has the next one follow at once.
constexpr Duration kGood{1000};

}  // namespace

RedisNode::RedisNode(net::Loop& loop, pipeline::Hub& hub, const RedisAccess& access,
                     const redis::Mirror::Options& options, redis::Intake* intake,
                     const net::SocketAddress& address, Owner& owner)
    : loop_(loop),
      address_(address),
      owner_(owner),
      mirror_(hub, options),
      dial_timer_(loop, [this] { owner_.wants_address(*this); }),
      slice_(loop,
             [this] {
               loop_.refresh();
               fill();
             }),
      link_(loop, access, *this, [this](const Error& why) {
        if (!stopped_) failed(why);
      }) {
  if (intake == nullptr) return;
  inlet_.emplace(
      loop, access, *intake, [this](std::string_view key) { return mirror_.mine(key); },
      [this](const Error& why) { owner_.inlet_failed(*this, why); });
}

void RedisNode::start() {
  stopped_ = false;
  dial_timer_.set(loop_.now());
}

void RedisNode::stop() {
  stopped_ = true;
  dial_timer_.stop();
  slice_.cancel();
  link_.end({Reason::kConnectionLost, "this agent stops"});
}

void RedisNode::dial(const net::SocketAddress& address) {
  address_ = address;
  link_.dial(address_, kRedisConnectTime);
}

void RedisNode::failed(const Error& why) {
  failing_ = true;
  dial_timer_.set(loop_.now() + backoff_.next());
  owner_.failed(*this, why);
}

void RedisNode::give_up_reading(std::string_view why) {
  if (!walk_) return;
  walk_.reset();
  // Its replies are still to come.
  if (ready_) link_.session()->end({Reason::kIdleTimeout, fmt::format("what it has kept: {}", why)});
}

void RedisNode::ready(const redis::Server& server, TimePoint now) {
  ++connections_;
  if (auto good = owner_.check(server); !good) return link_.session()->end(good.error());
  ready_ = true;
  failing_ = false;
  ready_since_ = now;
  server_ = server;
  log::notice("Redis {} at {} ({}) is connected", server.version, address_.to_string(), server.role);
  if (walk_) return walk_->begin(*link_.session(), now);
  begin_mirror(now);
}

void RedisNode::begin_mirror(TimePoint now) {
  mirror_.begin(server_, now);
  mirroring_ = true;
  if (inlet_) inlet_->start(address_);
}

void RedisNode::fill() {
  if (!mirroring_) return;
  redis::RedisSession& session = *link_.session();
  mirror_.fill(session, loop_.now());
  if (mirror_.stray() != nullptr) owner_.settled(*this);
  if (mirror_.can_go_on(session)) slice_.schedule();
}

void RedisNode::flush() {
  mirror_.follow(loop_.now());
  fill();
}

Result<void> RedisNode::replied(const redis::Reply& reply, TimePoint now) {
  if (!mirroring_) {
    // The session of a walk that was given up is over.
    if (!walk_) return {};
    auto read = walk_->replied(*link_.session(), reply, now);
    if (read && walk_->done()) {
      walk_.reset();
      begin_mirror(now);
      owner_.read_back(*this);
    }
    return read;
  }
  auto outcome = mirror_.replied(reply, now);
  // What ends the session is counted there.
  if (outcome && reply.error()) owner_.refused(reply.text);
  return outcome;
}

void RedisNode::settled(TimePoint now) {
  if (now - ready_since_ >= kGood) backoff_.reset();
  owner_.settled(*this);
  if (mirroring_ && mirror_.can_go_on(*link_.session())) slice_.schedule();
}

void RedisNode::ended(const Error& /*why*/, TimePoint /*now*/) {
  ready_ = false;
  if (inlet_) inlet_->stop();
  if (std::exchange(mirroring_, false)) mirror_.ended();
}

std::string_view RedisNode::state() const {
  if (ready_) return walk_ ? "restoring" : "connected";
  if (link_.session() != nullptr) return "logging in";
  if (link_.connecting()) return "connecting";
  return dial_timer_.active() ? "away: it is dialled again soon" : "stopped";
}

}  // namespace stickmesh::daemon
