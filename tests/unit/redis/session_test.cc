#include "agent/redis/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/unit/allocations.h"
#include "tests/unit/redis/reply_text.h"

namespace stickmesh::redis {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr TimePoint kStart{Duration(1'000'000)};
constexpr Duration kTimeout = RedisSession::kReplyTimeout;

// What Redis 7.0.15 says, in part.
constexpr std::string_view kInfo =
    "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nprocess_id:12\r\n"
    "run_id:5d3f2c1b0a\r\n\r\n# Replication\r\nrole:master\r\nmaster_failover_state:no-failover\r\n";

std::string text_reply(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

/// Notes what it is told.
class User final : public SessionUser {
 public:
  std::vector<std::string> told;
  std::function<void(TimePoint)> when_ready = [](TimePoint) {};
  std::function<Result<void>(const Reply&)> when_replied = [](const Reply&) { return Result<void>{}; };

 private:
  void ready(const Server& server, TimePoint now) override {
    told.push_back("ready " + server.version + " " + server.run + " " + server.role);
    when_ready(now);
  }
  Result<void> replied(const Reply& reply, TimePoint) override {
    told.push_back(text_of(reply));
    return when_replied(reply);
  }
  void settled(TimePoint) override { told.push_back("settled"); }
  void ended(const Error& why, TimePoint) override { told.push_back("ended " + to_string(why)); }
};

class RedisSessionTest : public ::testing::Test {
 protected:
  RedisSessionTest() { begin({}); }

  void begin(const Login& login) {
    session_.emplace(login, user_, kStart);
    session_->set_wakeup([this] { ++wakeups_; });
  }
  void log_in() {
    hear("+OK\r\n" + text_reply(kInfo));
    session_->sent(session_->pending().size(), now_);
    user_.told.clear();
  }
  /// Empty, or why it ends.
  std::string hear(std::string_view bytes) {
    const auto outcome = session_->receive(as_bytes(bytes), now_);
    return outcome ? "" : outcome.error().detail;
  }
  void send(std::initializer_list<std::string_view> words) {
    session_->send(std::span(words.begin(), words.size()), now_);
  }
  std::vector<std::string> commands() const { return hear_all(as_text(session_->pending())); }
  static std::vector<std::string> hear_all(std::string_view bytes) {
    return stickmesh::redis::hear({bytes}).replies;
  }

  User user_;
  std::optional<RedisSession> session_;
  TimePoint now_ = kStart;
  int wakeups_ = 0;
};

TEST_F(RedisSessionTest, LogsInWithWhatIsGiven) {
  const auto greetings = [&](const Login& login) {
    begin(login);
    return commands();
  };
  const std::string name = "[text(CLIENT), text(SETNAME), text(stickmesh-a)]";
  const std::string info = "[text(INFO)]";
  EXPECT_THAT(greetings({"", "", 0, "stickmesh-a"}), ElementsAre(name, info));
  EXPECT_THAT(greetings({"", "s3 cret", 0, "stickmesh-a"}),
              ElementsAre("[text(AUTH), text(s3 cret)]", name, info));
  EXPECT_THAT(greetings({"joe", "s3cret", 0, "stickmesh-a"}),
              ElementsAre("[text(AUTH), text(joe), text(s3cret)]", name, info));
  EXPECT_THAT(greetings({"", "", 3, "stickmesh-a"}), ElementsAre("[text(SELECT), text(3)]", name, info));
  EXPECT_THAT(greetings({"joe", "s3cret", 15, "stickmesh-a"}),
              ElementsAre("[text(AUTH), text(joe), text(s3cret)]", "[text(SELECT), text(15)]", name, info));
  EXPECT_THAT(greetings({"joe", "", 0, "stickmesh-a"}), ElementsAre(name, info)) << "no password, no AUTH";
}

TEST_F(RedisSessionTest, IsReadyOnceAllOfTheLoginIsAnswered) {
  begin({"", "s3cret", 3, "stickmesh-a"});
  EXPECT_EQ(session_->in_flight(), 4U);
  EXPECT_EQ(hear("+OK\r\n+OK\r\n+OK\r\n"), "");
  EXPECT_THAT(user_.told, IsEmpty());
  EXPECT_EQ(hear(text_reply(kInfo)), "");
  EXPECT_THAT(user_.told, ElementsAre("ready 7.0.15 5d3f2c1b0a master", "settled"));
  EXPECT_EQ(session_->in_flight(), 0U);
}

TEST_F(RedisSessionTest, AServerNeedNotSayWhoItIs) {
  EXPECT_EQ(hear("+OK\r\n" + text_reply("redis_version:6\r\nxrun_id:1\r\nrole")), "");
  EXPECT_THAT(user_.told, ElementsAre("ready 6  ", "settled"));
}

TEST_F(RedisSessionTest, AnErrorAtAnyCommandOfTheLoginEndsIt) {
  const std::vector<std::string> answers = {"+OK\r\n", "+OK\r\n", "+OK\r\n", text_reply(kInfo)};
  for (std::size_t refused = 0; refused < answers.size(); ++refused) {
    begin({"joe", "s3cret", 3, "stickmesh-a"});
    std::string all;
    for (std::size_t at = 0; at < refused; ++at) all += answers[at];
    all += "-NOAUTH Authentication required.\r\n";
    for (std::size_t at = refused + 1; at < answers.size(); ++at) all += answers[at];
    EXPECT_EQ(hear(all), "NOAUTH: it wants a password: set redis.password-file (Authentication required.)")
        << refused;
    EXPECT_THAT(user_.told, IsEmpty()) << refused;
  }
}

// A server that has too many clients says so before it was asked anything, and in place of the first answer.
TEST_F(RedisSessionTest, AnErrorBeforeAnythingWasSentIsTheAnswerToTheLogin) {
  EXPECT_EQ(hear("-ERR max number of clients reached\r\n"), "ERR: max number of clients reached");
}

TEST_F(RedisSessionTest, InfoIsAText) {
  for (const char* answer : {"+OK\r\n", ":1\r\n", "$-1\r\n", "*1\r\n$1\r\na\r\n"}) {
    begin({});
    EXPECT_EQ(hear(std::string("+OK\r\n") + answer), "protocol: its answer to INFO is no text") << answer;
    EXPECT_THAT(user_.told, IsEmpty());
  }
}

TEST_F(RedisSessionTest, AReplyWithoutACommandEndsIt) {
  EXPECT_EQ(hear("+OK\r\n" + text_reply(kInfo) + "+OK\r\n"), "protocol: it answers what was not asked");
  EXPECT_THAT(user_.told, ElementsAre("ready 7.0.15 5d3f2c1b0a master"));
  begin({});
  log_in();
  send({"DEL", "a"});
  EXPECT_EQ(hear(":1\r\n:1\r\n"), "protocol: it answers what was not asked");
  EXPECT_THAT(user_.told, ElementsAre("number(1)"));
}

TEST_F(RedisSessionTest, RepliesComeInTheOrderOfTheCommandsInAnyPieces) {
  const std::string answers = "+OK\r\n" + text_reply(kInfo) + ":1\r\n-ERR x\r\n$2\r\n\r\n\r\n*1\r\n:4\r\n";
  user_.when_ready = [&](TimePoint) {
    for (const char* key : {"a", "b", "c", "d"}) send({"DEL", key});
  };
  for (std::size_t cut = 0; cut <= answers.size(); ++cut) {
    begin({});
    user_.told.clear();
    EXPECT_EQ(hear(std::string_view(answers).substr(0, cut)), "");
    EXPECT_EQ(hear(std::string_view(answers).substr(cut)), "");
    std::erase(user_.told, "settled");
    EXPECT_THAT(user_.told, ElementsAre("ready 7.0.15 5d3f2c1b0a master", "number(1)", "error(ERR x)",
                                        "text(\r\n)", "[number(4)]"));
    EXPECT_EQ(session_->in_flight(), 0U);
  }
}

TEST_F(RedisSessionTest, SettlesOnceForAllThatHasArrived) {
  log_in();
  for (const char* key : {"a", "b", "c"}) send({"DEL", key});
  hear(":1\r\n:0\r\n");
  hear(":");
  hear("1\r\n");
  EXPECT_THAT(user_.told,
              ElementsAre("number(1)", "number(0)", "settled", "settled", "number(1)", "settled"));
}

TEST_F(RedisSessionTest, WhatTheUserRefusesEndsItAtOnce) {
  log_in();
  user_.when_replied = [](const Reply& reply) -> Result<void> {
    if (reply.error()) return refuse(Reason::kRedis, "enough");
    return {};
  };
  for (const char* key : {"a", "b", "c"}) send({"DEL", key});
  EXPECT_EQ(hear(":1\r\n-OOM no\r\n:1\r\n"), "enough");
  EXPECT_THAT(user_.told, ElementsAre("number(1)", "error(OOM no)"));
}

TEST_F(RedisSessionTest, WhatIsNoReplyEndsIt) {
  EXPECT_THAT(hear("HTTP/1.1 400 Bad request\r\n"), HasSubstr("no reply of Redis"));
  EXPECT_THAT(user_.told, IsEmpty());
}

TEST_F(RedisSessionTest, TheLoginIsToBeAnsweredInTime) {
  EXPECT_EQ(session_->deadline(), kStart + kTimeout);
  now_ = kStart + kTimeout - Duration(1);
  EXPECT_TRUE(session_->expire(now_));
  const auto late = session_->expire(kStart + kTimeout);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().reason, Reason::kIdleTimeout);
  EXPECT_THAT(late.error().detail, HasSubstr("5000 ms"));
}

TEST_F(RedisSessionTest, AnOverdueReplyIsThatOfTheOldestCommand) {
  log_in();
  EXPECT_EQ(session_->deadline(), std::nullopt);
  EXPECT_TRUE(session_->expire(kStart + 100 * kTimeout)) << "nothing is waited for";

  now_ = kStart + Duration(60'000);
  const TimePoint first = now_;
  send({"DEL", "a"});
  EXPECT_EQ(session_->deadline(), first + kTimeout);
  now_ += Duration(4000);
  send({"DEL", "b"});
  EXPECT_EQ(session_->deadline(), first + kTimeout) << "a later command is no progress";
  now_ += Duration(500);
  hear(":");
  EXPECT_EQ(session_->deadline(), first + kTimeout) << "nor is a part of a reply";
  hear("1\r\n");
  EXPECT_EQ(session_->deadline(), now_ + kTimeout) << "a reply is";
  EXPECT_TRUE(session_->expire(first + kTimeout));
  hear(":1\r\n");
  EXPECT_EQ(session_->deadline(), std::nullopt);
}

TEST_F(RedisSessionTest, EndsWhenItIsToldToWithTheFirstReason) {
  log_in();
  EXPECT_FALSE(session_->close_reason());
  session_->end({Reason::kConnectionLost, "first"});
  EXPECT_EQ(wakeups_, 1);
  session_->end({Reason::kConnectionLost, "second"});
  ASSERT_TRUE(session_->close_reason());
  EXPECT_EQ(session_->close_reason()->detail, "first");
  EXPECT_THAT(user_.told, IsEmpty()) << "that is for the connection to say";
  session_->closed(*session_->close_reason(), now_);
  EXPECT_THAT(user_.told, ElementsAre("ended connection-lost: first"));
}

TEST_F(RedisSessionTest, WakesTheConnectionUnlessThatCalls) {
  user_.when_ready = [&](TimePoint) { send({"DEL", "a"}); };
  user_.when_replied = [&](const Reply&) -> Result<void> {
    send({"DEL", "b"});
    session_->end({Reason::kConnectionLost, "enough"});
    return {};
  };
  log_in();
  hear(":1\r\n");
  EXPECT_EQ(wakeups_, 0);
  send({"DEL", "c"});
  EXPECT_EQ(wakeups_, 1);
}

TEST_F(RedisSessionTest, IsSentInAnyPieces) {
  const std::string greeting(as_text(session_->pending()));
  std::string sent;
  for (std::size_t size = 1; !session_->pending().empty(); size = size % 7 + 1) {
    const std::string_view pending = as_text(session_->pending());
    const std::string_view piece = pending.substr(0, size);
    sent += piece;
    session_->sent(piece.size(), now_);
    // While the first ones are under way.
    if (sent.size() < 10) send({"DEL", "a"});
  }
  EXPECT_EQ(sent.substr(0, greeting.size()), greeting);
  const std::vector<std::string> all = hear_all(sent);
  ASSERT_EQ(all.size(), session_->in_flight());
  EXPECT_EQ(all.back(), "[text(DEL), text(a)]");
}

// A server that is always a little behind never takes all that is pending.
TEST_F(RedisSessionTest, WhatWasSentIsNotKeptWhileMoreFollows) {
  log_in();
  const std::string large(1000, 'x');
  const auto rounds = [&](int count) {
    const std::size_t before = allocations;
    for (int round = 0; round < count; ++round) {
      send({"HSET", "key", large});
      session_->sent(std::min<std::size_t>(session_->pending().size(), 1100), now_);
    }
    return allocations - before;
  };
  rounds(10);
  const std::size_t drained = rounds(5000);
  ASSERT_TRUE(session_->pending().empty());
  send({"HSET", "key", large});
  session_->sent(1, now_);
  const std::string_view rest = as_text(session_->pending());
  ASSERT_FALSE(rest.empty());
  const std::size_t size = rest.size();
  const auto behind = [&](int count) {
    const std::size_t before = allocations;
    for (int round = 0; round < count; ++round) {
      send({"HSET", "key", large});
      session_->sent(session_->pending().size() - size, now_);
    }
    return allocations - before;
  };
  behind(200);
  EXPECT_EQ(behind(5000), drained) << "the output has grown";
  EXPECT_EQ(session_->pending().size(), size);
}

// The bytes are right, too, wherever that happens.
TEST_F(RedisSessionTest, WhatIsPendingStaysInOrder) {
  log_in();
  const std::string large(1000, 'x');
  std::string sent;
  std::vector<std::string> expected;
  const auto take = [&](std::size_t size) {
    const std::string_view piece = as_text(session_->pending()).substr(0, size);
    sent += piece;
    session_->sent(piece.size(), now_);
  };
  for (int round = 0; round < 2000; ++round) {
    send({"HSET", std::to_string(round), large});
    expected.push_back("[text(HSET), text(" + std::to_string(round) + "), text(" + large + ")]");
    take(round < 500 ? 777 : 1111);
  }
  while (!session_->pending().empty()) take(100'000);
  EXPECT_TRUE(hear_all(sent) == expected);
}

TEST_F(RedisSessionTest, AlwaysReads) {
  EXPECT_TRUE(session_->wants_input());
  log_in();
  for (int count = 0; count < 10'000; ++count) send({"DEL", "a"});
  EXPECT_TRUE(session_->wants_input()) << "answers are what lets it go on";
  EXPECT_EQ(session_->in_flight(), 10'000U);
}

}  // namespace
}  // namespace stickmesh::redis
