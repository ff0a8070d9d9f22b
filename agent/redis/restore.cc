#include "agent/redis/restore.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "agent/base/printable.h"
#include "agent/redis/words.h"
#include "agent/snapshot/decoder.h"

namespace stickmesh::redis {

namespace {

/// As many as are asked for at once.
constexpr std::string_view kBatch = "500";

// What Redis reads as a pattern, which |text| is not.
std::string literal(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view(R"(*?[]\^)").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

Restore::Restore(pipeline::Hub& hub, std::string_view prefix, TimePoint now)
    : hub_(hub),
      prefix_(fmt::format("{}:", prefix)),
      pattern_(fmt::format("{}*@*:*", literal(prefix_))),
      restoration_(hub, now) {}

void Restore::begin(RedisSession& session, TimePoint now) {
  cursor_.assign(1, '0');
  keys_.clear();
  at_ = 0;
  scan(session, now);
}

void Restore::scan(RedisSession& session, TimePoint now) {
  const std::array<std::string_view, 6> words{"SCAN", cursor_, "MATCH", pattern_, "COUNT", kBatch};
  session.send(words, now);
}

Result<void> Restore::replied(RedisSession& session, const Reply& reply, TimePoint now) {
  if (reply.error() && stops_all(reply.text)) return refuse(Reason::kRedis, explain(reply.text));
  if (at_ < keys_.size()) {
    if (reply.type == Reply::Type::kText) {
      take(reply.text, now);
    } else if (reply.type != Reply::Type::kNothing) {
      ++damaged_;
      hub_.errors().record({Reason::kRedis, fmt::format("{} is no text", printable(keys_[at_]))}, "Redis",
                           now);
    }
    if (++at_ != keys_.size()) return {};
  } else {
    const bool page = reply.type == Reply::Type::kList && reply.list.size() == 2 &&
                      reply.list[0].type == Reply::Type::kText && reply.list[1].type == Reply::Type::kList;
    if (!page) return refuse(Reason::kRedis, "protocol: its answer to SCAN is no page of keys");
    cursor_ = reply.list[0].text;
    keys_.clear();
    at_ = 0;
    for (const Reply& key : reply.list[1].list) {
      // The pattern also fits the keys of longer prefixes, and of entries whose own key has an '@'.
      const std::string_view rest =
          std::string_view(key.text).substr(std::min(prefix_.size(), key.text.size()));
      if (key.type == Reply::Type::kText && rest.find('@') < rest.find(':')) keys_.push_back(key.text);
    }
    for (const std::string& key : keys_) session.send(std::array<std::string_view, 2>{"GET", key}, now);
    if (!keys_.empty()) return {};
  }
  cursor_ == "0" ? static_cast<void>(done_ = true) : scan(session, now);
  return {};
}

void Restore::take(const std::string& value, TimePoint now) {
  restoration_.set_now(now);
  snapshot::Receiver nobody;
  auto checked = snapshot::decode(as_bytes(value), nobody);
  if (checked) checked = snapshot::decode(as_bytes(value), restoration_);
  if (checked) return;
  ++damaged_;
  checked.error().detail =
      fmt::format("{} is left out: {}", printable(keys_[at_], 256), checked.error().detail);
  hub_.errors().record(checked.error(), "Redis", now);
}

Restore::Counts Restore::finish() {
  return {restoration_.finish(), damaged_};
}

}  // namespace stickmesh::redis
