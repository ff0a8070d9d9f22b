#pragma once

#include <optional>
#include <string>
#include <utility>

#include "agent/redis/mirror.h"
#include "tests/unit/redis/fake_redis.h"
#include "tests/unit/redis/tables_fixture.h"

namespace stickmesh::redis {

using Words = FakeRedis::Words;

inline const std::string kJoe = "stickmesh:t:joe";
inline const std::string kTables = "stickmesh:tables";
inline const std::string kAgents = "stickmesh:agents";

/// A mirror of an agent's tables in a server in memory, with a session between them whose bytes move when the
/// test says so.
class MirrorTest : public TablesTest, private SessionUser {
 protected:
  using TablesTest::TablesTest;

  /// A session begins and logs in.
  void connect() {
    server_.meet();
    server_.answers.clear();
    SessionUser& user = *this;
    session_.emplace(Login{"", "", 0, "stickmesh-agent-1"}, user, now_);
    to_server();
    to_agent();
  }
  /// Everything on its way is lost.
  void cut(const Error& why = {Reason::kConnectionLost, "cut by the test"}) {
    if (!session_) return;
    last_end_ = to_string(why);
    session_->closed(why, now_);
    session_.reset();
  }

  /// What the daemon does each flush interval.
  void flush() {
    mirror_.follow(now_);
    if (!ready_) return;
    fill_once();
    while (mirror_.can_go_on(*session_)) fill_once();
  }
  void to_server() {
    if (!session_) return;
    const Bytes bytes = session_->pending();
    server_.hear(bytes);
    session_->sent(bytes.size(), now_);
  }
  void to_agent() {
    if (!session_) return;
    most_in_flight_ = std::max(most_in_flight_, session_->in_flight());
    const std::string bytes = std::exchange(server_.answers, {});
    if (const auto taken = session_->receive(as_bytes(bytes), now_); !taken) cut(taken.error());
  }
  /// Answers of the server for |count| commands arrive; the others do not.
  void to_agent(std::size_t count) {
    std::size_t at = 0;
    // Each answer here is one line.
    for (; count != 0; --count) at = server_.answers.find("\r\n", at) + 2;
    server_.answers.resize(at);
    to_agent();
  }
  /// Until both are silent.
  void settle() {
    flush();
    while (session_ && !session_->pending().empty()) {
      to_server();
      to_agent();
    }
  }
  /// Changes get their places and arrive.
  void run_and_settle(Duration time = Duration(20)) {
    run(time);
    settle();
  }
  void fill(std::string_view name, int count, std::uint64_t value = 1) {
    for (int key = 0; key < count; ++key) set(name, "key-" + std::to_string(key), {{"gpc0", value}});
  }
  /// How many keys of that table Redis has with that value.
  std::size_t mirrored(const std::string& name, const std::string& value) const {
    std::size_t found = 0;
    for (const auto& [key, hash] : server_.keys) {
      if (key.starts_with("stickmesh:" + name + ":") && server_.field(key, "gpc0") == value) ++found;
    }
    return found;
  }
  Mirror::Standing standing() const { return mirror_.standing(now_); }

  FakeRedis server_;
  Mirror mirror_{hub_, {"stickmesh", false, false}};
  std::optional<RedisSession> session_;
  std::string last_end_;
  std::uint64_t most_in_flight_ = 0;
  std::uint64_t most_at_once_ = 0;  ///< commands of one `fill`

 private:
  void ready(const Server& server, TimePoint now) override {
    ready_ = true;
    mirror_.begin(server, now);
  }
  Result<void> replied(const Reply& reply, TimePoint now) override { return mirror_.replied(reply, now); }
  void settled(TimePoint) override {
    while (mirror_.can_go_on(*session_)) fill_once();
  }
  void fill_once() {
    const std::size_t before = session_->pending().size();
    const std::uint64_t in_flight = session_->in_flight();
    mirror_.fill(*session_, now_);
    most_at_once_ = std::max(most_at_once_, session_->in_flight() - in_flight);
    ASSERT_TRUE(session_->pending().size() > before || !mirror_.can_go_on(*session_)) << "it would never end";
  }
  void ended(const Error&, TimePoint) override {
    if (std::exchange(ready_, false)) mirror_.ended();
  }

  bool ready_ = false;
};

}  // namespace stickmesh::redis
