#include "agent/redis/walk.h"

#include <array>
#include <utility>

#include "agent/redis/words.h"

namespace stickmesh::redis {

namespace {

/// As many as are asked for at once.
constexpr std::string_view kBatch = "500";

}  // namespace

std::string literal(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view(R"(*?[]\^)").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

Reading plain_reading() {
  return {[](RedisSession& session, const std::string& key, TimePoint now) {
    session.send(std::array<std::string_view, 2>{"GET", key}, now);
  }};
}

void Walk::begin(RedisSession& session, TimePoint now) {
  cursor_.assign(1, '0');
  keys_.clear();
  at_ = 0;
  done_ = false;
  scan(session, now);
}

void Walk::read(RedisSession& session, std::vector<std::string> keys, TimePoint now) {
  cursor_.assign(1, '0');
  keys_ = std::move(keys);
  at_ = 0;
  done_ = keys_.empty();
  ask(session, now);
}

void Walk::ask(RedisSession& session, TimePoint now) {
  before_ = reading_.replies - 1;
  for (const std::string& key : keys_) reading_.ask(session, key, now);
}

void Walk::scan(RedisSession& session, TimePoint now) {
  const std::array<std::string_view, 6> words{"SCAN", cursor_, "MATCH", pattern_, "COUNT", kBatch};
  session.send(words, now);
}

Result<void> Walk::replied(RedisSession& session, const Reply& reply, TimePoint now) {
  if (reply.error() && stops_all(reply.text)) return refuse(Reason::kRedis, explain(reply.text));
  if (at_ < keys_.size()) {
    if (before_ != 0) {
      --before_;
      return {};
    }
    before_ = reading_.replies - 1;
    take_(keys_[at_], reply, now);
    if (++at_ != keys_.size()) return {};
  } else {
    const bool page = reply.type == Reply::Type::kList && reply.list.size() == 2 &&
                      reply.list[0].type == Reply::Type::kText && reply.list[1].type == Reply::Type::kList;
    if (!page) return refuse(Reason::kRedis, "protocol: its answer to SCAN is no page of keys");
    cursor_ = reply.list[0].text;
    keys_.clear();
    at_ = 0;
    for (const Reply& key : reply.list[1].list) {
      if (key.type == Reply::Type::kText && wanted_(key.text)) keys_.push_back(key.text);
    }
    ask(session, now);
    if (!keys_.empty()) return {};
  }
  cursor_ == "0" ? static_cast<void>(done_ = true) : scan(session, now);
  return {};
}

}  // namespace stickmesh::redis
