#include "agent/redis/session.h"

#include <fmt/format.h>

#include <array>

#include "agent/base/printable.h"
#include "agent/redis/command.h"
#include "agent/redis/words.h"

namespace stickmesh::redis {

namespace {

// Of INFO, whose lines are NAME:VALUE.
std::string info_value(std::string_view info, std::string_view name) {
  const std::string start = fmt::format("\n{}:", name);
  const std::size_t at = info.find(start);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = info.substr(at + start.size());
  return readable(rest.substr(0, rest.find_first_of("\r\n")));
}

constexpr std::size_t kKeptOutput = std::size_t{1} << 16U;

}  // namespace

RedisSession::RedisSession(const Login& login, SessionUser& user, TimePoint now)
    : user_(user), waiting_since_(now) {
  inside_ = true;
  const std::string database = fmt::format("{}", login.database);
  using Words = std::initializer_list<std::string_view>;
  const auto greet = [&](Words words) {
    ++greetings_;
    send(std::span(words.begin(), words.size()), now);
  };
  if (!login.password.empty()) {
    login.user.empty() ? greet({"AUTH", login.password}) : greet({"AUTH", login.user, login.password});
  }
  if (login.database != 0) greet({"SELECT", database});
  greet({"CLIENT", "SETNAME", login.client_name});
  greet({"INFO"});
  inside_ = false;
}

void RedisSession::send(std::span<const std::string_view> words, TimePoint now) {
  if (!append_command(out_, words)) return end({Reason::kNoMemory, "no memory for a command"});
  if (in_flight_++ == 0) waiting_since_ = now;
  if (!inside_) wake();
}

void RedisSession::end(Error why) {
  if (!close_reason_) close_reason_ = std::move(why);
  if (!inside_) wake();
}

Result<void> RedisSession::receive(Bytes in, TimePoint now) {
  inside_ = true;
  auto outcome = reader_.read(in, [&](const Reply& reply) { return take(reply, now); });
  if (outcome && greetings_ == 0) user_.settled(now);
  inside_ = false;
  return outcome;
}

Result<void> RedisSession::take(const Reply& reply, TimePoint now) {
  if (messages_ && reply.list.size() == 3 && reply.list[0].text == "message")
    return user_.replied(reply, now);
  if (in_flight_ == 0) return refuse(Reason::kRedis, "protocol: it answers what was not asked");
  --in_flight_;
  waiting_since_ = now;
  if (greetings_ != 0) return greeted(reply, now);
  return user_.replied(reply, now);
}

Result<void> RedisSession::greeted(const Reply& reply, TimePoint now) {
  if (reply.error()) return refuse(Reason::kRedis, explain(reply.text));
  if (--greetings_ != 0) return {};
  if (reply.type != Reply::Type::kText)
    return refuse(Reason::kRedis, "protocol: its answer to INFO is no text");
  const std::string info = "\n" + reply.text;
  user_.ready({info_value(info, "redis_version"), info_value(info, "run_id"), info_value(info, "role")}, now);
  return {};
}

Bytes RedisSession::pending() const {
  return as_bytes(std::string_view(out_).substr(out_start_));
}

void RedisSession::sent(std::size_t size, TimePoint /*now*/) {
  out_start_ += size;
  if (out_start_ != out_.size()) {
    // A server that is always a little behind: what it has taken must not stay for as long as it is.
    if (out_start_ < kKeptOutput || out_start_ < out_.size() / 2) return;
    out_.erase(0, out_start_);
    out_start_ = 0;
    return;
  }
  out_.clear();
  out_start_ = 0;
  if (out_.capacity() > 4 * kKeptOutput) out_.shrink_to_fit();
}

std::optional<TimePoint> RedisSession::deadline() const {
  if (in_flight_ == 0) return std::nullopt;
  return waiting_since_ + kReplyTimeout;
}

Result<void> RedisSession::expire(TimePoint now) {
  if (const auto due = deadline(); !due || *due > now) return {};
  return refuse(Reason::kIdleTimeout, fmt::format("no answer within {} ms", kReplyTimeout.count()));
}

}  // namespace stickmesh::redis
