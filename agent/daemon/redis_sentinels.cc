#include "agent/daemon/redis_sentinels.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "agent/base/printable.h"
#include "agent/redis/words.h"

namespace stickmesh::daemon {

namespace {

/// For one of them, until it has answered: others may know more than one that hangs.
constexpr Duration kAnswerTime{1000};

bool is_text(const redis::Reply& reply) {
  return reply.type == redis::Reply::Type::kText;
}

}  // namespace

RedisSentinels::RedisSentinels(net::Loop& loop, std::vector<net::SocketAddress> addresses, std::string master,
                               OnAnswer on_answer)
    : loop_(loop),
      addresses_(std::move(addresses)),
      master_(std::move(master)),
      on_answer_(std::move(on_answer)),
      connector_(loop, [this](Result<net::UniqueFd> socket) { connected(std::move(socket)); }),
      patience_(loop, [this] {
        next({Reason::kIdleTimeout, fmt::format("no answer within {} ms", kAnswerTime.count())});
      }) {}

RedisSentinels::~RedisSentinels() {
  cancel();
}

void RedisSentinels::ask() {
  cancel();
  left_ = addresses_.size();
  dial();
}

void RedisSentinels::cancel() {
  left_ = 0;
  connector_.cancel();
  patience_.stop();
  session_ = nullptr;
  if (connection_) loop_.bury(std::move(connection_));
}

void RedisSentinels::dial() {
  patience_.set(loop_.now() + kAnswerTime);
  connector_.start(addresses_[at_], kAnswerTime);
}

void RedisSentinels::connected(Result<net::UniqueFd> socket) {
  if (!socket) return next(socket.error());
  redis::SessionUser& user = *this;
  auto session = std::make_unique<redis::RedisSession>(redis::Login{}, user, loop_.now());
  session_ = session.get();
  connection_ =
      std::make_unique<net::Connection>(loop_, std::move(*socket), addresses_[at_], std::move(session),
                                        [this](net::Connection&, const Error& why) { next(why); });
}

void RedisSentinels::ready(const redis::Server& /*server*/, TimePoint now) {
  session_->send(std::array<std::string_view, 3>{"SENTINEL", "get-master-addr-by-name", master_}, now);
}

Result<void> RedisSentinels::replied(const redis::Reply& reply, TimePoint /*now*/) {
  if (reply.error()) return refuse(Reason::kRedis, redis::explain(reply.text));
  if (reply.type == redis::Reply::Type::kNothing)
    return refuse(Reason::kRedis,
                  fmt::format("sentinel: it knows no master '{}': look at redis.sentinel", master_));
  if (reply.list.size() != 2 || !is_text(reply.list[0]) || !is_text(reply.list[1]))
    return refuse(Reason::kRedis, "protocol: its answer to SENTINEL is no address");
  const std::string& host = reply.list[0].text;
  const bool six = host.find(':') != std::string::npos;
  auto address = net::SocketAddress::parse(
      fmt::format("{}{}{}:{}", six ? "[" : "", host, six ? "]" : "", reply.list[1].text));
  if (!address)
    return refuse(Reason::kRedis, fmt::format("sentinel: the master's address {} is none that can be "
                                              "dialled without a name server",
                                              printable(host)));
  answer(*address);
  return {};
}

void RedisSentinels::next(const Error& why) {
  if (left_ == 0) return;  // it has answered, and goes on
  const std::string asked = addresses_[at_].to_string();
  at_ = (at_ + 1) % addresses_.size();
  const std::size_t left = left_ - 1;
  cancel();
  if (left == 0) {
    return on_answer_(tl::unexpected(Error{why.reason, fmt::format("{} (sentinel {})", why.detail, asked)}));
  }
  left_ = left;
  dial();
}

void RedisSentinels::answer(Result<net::SocketAddress> answer) {
  cancel();
  on_answer_(std::move(answer));
}

}  // namespace stickmesh::daemon
