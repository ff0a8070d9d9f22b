#include "agent/daemon/redis_asker.h"

#include <fmt/format.h>

#include <utility>

namespace stickmesh::daemon {

namespace {

/// For one of them, until it has answered: others may know more than one that hangs.
constexpr Duration kAnswerTime{1000};
/// A cluster's answer has a part for each range of slots, and several for each node that has it: of 16384
/// ranges, with some replicas each.
constexpr std::size_t kMaxParts = 1'000'000;

}  // namespace

RedisAsker::RedisAsker(net::Loop& loop, const RedisAccess& access, std::vector<std::string> question,
                       Take take, OnFailure on_failure)
    : loop_(loop),
      question_(std::move(question)),
      take_(std::move(take)),
      on_failure_(std::move(on_failure)),
      link_(loop, access, *this, [this](const Error& why) { next(why); }),
      patience_(loop, [this] {
        next({Reason::kIdleTimeout, fmt::format("no answer within {} ms", kAnswerTime.count())});
      }) {}

RedisAsker::~RedisAsker() {
  cancel();
}

void RedisAsker::ask(std::vector<net::SocketAddress> addresses) {
  cancel();
  addresses_ = std::move(addresses);
  at_ = 0;
  left_ = addresses_.size();
  dial();
}

void RedisAsker::cancel() {
  left_ = 0;
  patience_.stop();
  link_.drop();
}

void RedisAsker::dial() {
  patience_.set(loop_.now() + kAnswerTime);
  link_.dial(addresses_[at_], kAnswerTime);
}

void RedisAsker::ready(const redis::Server& /*server*/, TimePoint now) {
  link_.session()->allow_parts(kMaxParts);
  const std::vector<std::string_view> words(question_.begin(), question_.end());
  link_.session()->send(words, now);
}

Result<void> RedisAsker::replied(const redis::Reply& reply, TimePoint /*now*/) {
  if (left_ == 0) return {};
  auto taken = take_(reply, addresses_[at_]);
  if (taken) cancel();
  return taken;
}

void RedisAsker::next(const Error& why) {
  if (left_ == 0) return;  // it has answered, and goes on
  const Error last{why.reason, fmt::format("{} (asked: {})", why.detail, addresses_[at_].to_string())};
  ++at_;
  const std::size_t left = left_ - 1;
  cancel();
  if (left == 0) return on_failure_(last);
  left_ = left;
  dial();
}

}  // namespace stickmesh::daemon
