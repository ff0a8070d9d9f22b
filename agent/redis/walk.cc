#include "agent/redis/walk.h"

#include <array>
#include <utility>

#include "agent/redis/cluster_words.h"
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
  done_ = keys_.empty();
  look(session, now);
}

void Walk::look(RedisSession& session, TimePoint now) {
  if (!reading_.look) return ask(session, now);
  at_ = before_ = 0;
  moved_ = false;
  looks_ = true;
  good_.clear();
  for (const std::string& key : keys_) reading_.look(session, key, now);
}

void Walk::ask(RedisSession& session, TimePoint now) {
  at_ = 0;
  before_ = reading_.replies - 1;
  moved_ = looks_ = false;
  for (const std::string& key : keys_) reading_.ask(session, key, now);
}

void Walk::scan(RedisSession& session, TimePoint now) {
  const std::array<std::string_view, 6> words{"SCAN", cursor_, "MATCH", pattern_, "COUNT", kBatch};
  session.send(words, now);
}

void Walk::take_page(const Reply& page) {
  cursor_ = page.list[0].text;
  keys_.clear();
  for (const Reply& key : page.list[1].list) {
    if (key.type == Reply::Type::kText && wanted_(key.text)) keys_.push_back(key.text);
  }
}

void Walk::looked(const Reply& reply, TimePoint now) {
  std::string& key = keys_[at_++];
  if (std::exchange(moved_, false)) return reading_.moved(key, reply, now);
  if (reading_.fits(key, reply, now)) good_.push_back(std::move(key));
}

// After an error that says where the key is, EXEC fails for a reason of its own.
void Walk::read(const Reply& reply, TimePoint now) {
  const std::string& key = keys_[at_++];
  before_ = reading_.replies - 1;
  std::exchange(moved_, false) ? reading_.moved(key, reply, now) : take_(key, reply, now);
}

Result<void> Walk::replied(RedisSession& session, const Reply& reply, TimePoint now) {
  if (at_ < keys_.size()) {
    const bool moved = reading_.moved && reply.error() && read_redirection(reply.text);
    if (!moved && reply.error() && stops_all(reply.text)) return refuse(Reason::kRedis, explain(reply.text));
    moved_ |= moved;
    if (before_ != 0) {
      --before_;
      return {};
    }
    looks_ ? looked(reply, now) : read(reply, now);
    if (at_ != keys_.size()) return {};
    if (looks_) {
      keys_.swap(good_);
      ask(session, now);
    }
  } else {
    if (reply.error() && stops_all(reply.text)) return refuse(Reason::kRedis, explain(reply.text));
    const bool page = reply.type == Reply::Type::kList && reply.list.size() == 2 &&
                      reply.list[0].type == Reply::Type::kText && reply.list[1].type == Reply::Type::kList;
    if (!page) return refuse(Reason::kRedis, "protocol: its answer to SCAN is no page of keys");
    take_page(reply);
    look(session, now);
  }
  if (at_ < keys_.size()) return {};
  cursor_ == "0" ? static_cast<void>(done_ = true) : scan(session, now);
  return {};
}

}  // namespace stickmesh::redis
