#include "agent/redis/intake.h"

#include <gtest/gtest.h>

#include "tests/unit/redis/tables_fixture.h"

namespace stickmesh::redis {
namespace {

/// What is said of one key of the table "t", as `EXEC` answers it.
class IntakeTest : public TablesTest, private SessionUser {
 protected:
  IntakeTest() {
    declare("t", {{DataType::kGpt0}, {DataType::kGpc0}, {DataType::kHttpReqRate, 1, Duration(10'000)}});
    declare("same1");
    SessionUser& user = *this;
    session_.emplace(Login{}, user, now_);
  }

  static Reply text(std::string value) { return {Reply::Type::kText, std::move(value), 0, {}}; }
  static Reply answer(std::uint64_t micros, const std::vector<std::string>& fields, std::int64_t life) {
    Reply all{Reply::Type::kList, {}, 0, {}};
    for (const std::string& field : fields) all.list.push_back(text(field));
    const Reply time{
        Reply::Type::kList,
        {},
        0,
        {text(std::to_string(1'700'000'000 + micros / 1'000'000)), text(std::to_string(micros % 1'000'000))}};
    return {Reply::Type::kList, {}, 0, {time, all, {Reply::Type::kNumber, {}, life, {}}}};
  }
  static Reply number(std::int64_t number) { return {Reply::Type::kNumber, {}, number, {}}; }
  static Reply error(std::string text) { return {Reply::Type::kError, std::move(text), 0, {}}; }
  Walk walk() {
    return intake_.walk({[](std::string_view) { return true; },
                         [this](const std::string& key, const Reply&) { moved_.push_back(key); },
                         [this](const std::string& key) {
                           again_.push_back(key);
                           return true;
                         }});
  }
  /// To HLEN, and what belongs to a transaction.
  void give(Walk& walk, const std::string& key, const Reply& answer, const Reply& queued = {}) {
    walk.read(*session_, {key}, now_);
    ASSERT_TRUE(walk.replied(*session_, number(1), now_));
    for (int reply = 0; reply < 4; ++reply) ASSERT_TRUE(walk.replied(*session_, queued, now_));
    ASSERT_TRUE(walk.replied(*session_, answer, now_));
    EXPECT_TRUE(walk.done());
  }
  void give(const std::string& key, const Reply& answer) {
    Walk once = walk();
    give(once, key, answer);
  }
  std::vector<std::string> unseen(Intake::Sweep& sweep, std::size_t limit = 100) {
    return intake_.unseen(
        sweep, [](std::string_view key) { return key != "p:t@redis:other"; }, limit);
  }
  static store::Version at(std::uint64_t micros) { return *Intake::time_of(answer(micros, {}, 0).list[0]); }
  store::ContributionId said(std::string_view key) {
    const store::EntryId at = entry("t", key);
    const auto origin = registry_.origins().intern("redis");
    return at == store::kNone ? store::kNone : table("t").table->find(at, *origin);
  }
  std::uint64_t gpc0(std::string_view key) {
    const store::Table& of = *table("t").table;
    const auto value = admin::find_value(of.layout(), "gpc0");
    return of.number(said(key), *value->column, 0);
  }

  Intake intake_{hub_, "p", {"t*", "same*"}};
  std::optional<RedisSession> session_;
  std::vector<std::string> moved_;
  std::vector<std::string> again_;

 private:
  void ready(const Server&, TimePoint) override {}
  Result<void> replied(const Reply&, TimePoint) override { return {}; }
  void settled(TimePoint) override {}
  void ended(const Error&, TimePoint) override {}
};

TEST_F(IntakeTest, AHashIsAllThatIsSaid) {
  give("p:t@redis:joe", answer(1, {"gpc0", "5", "gpt0", "1"}, 60'000));
  ASSERT_NE(said("joe"), store::kNone);
  EXPECT_EQ(gpc0("joe"), 5U);
  EXPECT_EQ(table("t").table->expires(said("joe")), now_ + Duration(60'000));
  give("p:t@redis:joe", answer(2, {"gpt0", "1"}, -1));
  EXPECT_EQ(gpc0("joe"), 0U);
  EXPECT_EQ(table("t").table->expires(said("joe")), now_ + std::chrono::minutes(10));
  EXPECT_EQ(intake_.accepted(), 2U);
}

TEST_F(IntakeTest, ItsVersionIsTheTimeOfRedis) {
  give("p:t@redis:joe", answer(0, {"gpc0", "5"}, -1));
  const store::Version first = table("t").table->version(said("joe"));
  give("p:t@redis:joe", answer(1, {"gpc0", "6"}, -1));
  const store::Version second = table("t").table->version(said("joe"));
  give("p:t@redis:joe", answer(std::uint64_t{1} << 40U, {"gpc0", "7"}, -1));
  EXPECT_TRUE(second.newer_than(first));
  EXPECT_TRUE(table("t").table->version(said("joe")).newer_than(second));
  EXPECT_EQ(gpc0("joe"), 7U);
}

TEST_F(IntakeTest, WhatHasGoneIsTakenBack) {
  give("p:t@redis:joe", answer(1, {"gpc0", "5"}, -1));
  give("p:t@redis:joe", answer(2, {}, -2));
  EXPECT_TRUE(table("t").table->cleared_contribution(said("joe")));
  EXPECT_EQ(gpc0("joe"), 0U);
  give("p:t@redis:amy", answer(3, {}, -2));
  EXPECT_EQ(said("amy"), store::kNone) << "nobody knew it";
  EXPECT_EQ(intake_.refused(), 0U);
  give("p:t@redis:joe", answer(4, {"gpc0", "6"}, -1));
  EXPECT_EQ(gpc0("joe"), 6U);
  EXPECT_FALSE(table("t").table->cleared_contribution(said("joe")));
}

TEST_F(IntakeTest, WhatAWalkHasNotShownIsReadBeforeItIsTakenBack) {
  give("p:t@redis:joe", answer(1, {"gpc0", "5"}, -1));
  give("p:t@redis:kim", answer(2, {"gpc0", "5"}, -1));
  give("p:t@redis:other", answer(3, {"gpc0", "5"}, -1));
  give("p:t@redis:amy", answer(15, {"gpc0", "5"}, -1));
  give("p:t@redis:late", answer(30, {"gpc0", "5"}, -1));
  Intake::Sweep sweep{at(10), at(20)};
  std::vector<std::string> all;
  for (auto some = unseen(sweep, 1); !some.empty(); some = unseen(sweep, 1)) all.push_back(some[0]);
  EXPECT_EQ(all, (std::vector<std::string>{"p:t@redis:joe", "p:t@redis:kim", "p:t@redis:late"}));
  EXPECT_EQ(gpc0("joe"), 5U);
  give("p:t@redis:joe", answer(21, {}, -2));
  EXPECT_EQ(gpc0("joe"), 0U);
  Intake::Sweep again{at(10), at(20)};
  EXPECT_EQ(unseen(again), (std::vector<std::string>{"p:t@redis:kim", "p:t@redis:late"}));
}

TEST_F(IntakeTest, AKeyThatHasMovedIsNotGone) {
  give("p:t@redis:joe", answer(1, {"gpc0", "5"}, -1));
  Walk first = walk();
  first.read(*session_, {"p:t@redis:joe"}, now_);
  ASSERT_TRUE(first.replied(*session_, error("ASK 1 127.0.0.1:7001"), now_));
  EXPECT_TRUE(first.done());
  Walk later = walk();
  give(later, "p:t@redis:joe", error("EXECABORT Transaction discarded"), error("MOVED 1 127.0.0.1:7001"));
  EXPECT_EQ(moved_, (std::vector<std::string>{"p:t@redis:joe", "p:t@redis:joe"}));
  EXPECT_EQ(gpc0("joe"), 5U);
  EXPECT_EQ(intake_.refused(), 0U);
  // What says that nothing can be read ends the connection all the same.
  Walk stopped = walk();
  stopped.read(*session_, {"p:t@redis:joe"}, now_);
  EXPECT_FALSE(stopped.replied(*session_, error("LOADING"), now_));
}

TEST_F(IntakeTest, OneOfTooManyFieldsHoldsUpNoOther) {
  Walk walk = this->walk();
  walk.read(*session_, {"p:t@redis:large", "p:t@redis:text", "p:t@redis:joe"}, now_);
  ASSERT_TRUE(walk.replied(*session_, number(65), now_));
  ASSERT_TRUE(walk.replied(*session_, error("WRONGTYPE"), now_));
  ASSERT_TRUE(walk.replied(*session_, number(1), now_));
  EXPECT_EQ(intake_.refused(), 2U);
  EXPECT_EQ(errors_.count(Reason::kValueOutOfRange), 1U);
  for (int reply = 0; reply < 4; ++reply) ASSERT_TRUE(walk.replied(*session_, {}, now_));
  EXPECT_FALSE(walk.done());
  ASSERT_TRUE(walk.replied(*session_, answer(1, {"gpc0", "5"}, -1), now_));
  EXPECT_TRUE(walk.done());
  EXPECT_EQ(gpc0("joe"), 5U);
}

TEST_F(IntakeTest, TheClockOfRedisGoesBack) {
  Walk walk = this->walk();
  const std::uint64_t hour = 3'600'000'000;
  const auto twice = [&](const Reply& answer) {
    const std::uint64_t before = intake_.accepted();
    again_.clear();
    give(walk, "p:t@redis:joe", answer);
    EXPECT_EQ(again_.size(), 1U);
    EXPECT_EQ(intake_.accepted(), before) << "another agent may have read it since";
    give(walk, "p:t@redis:joe", answer);
    EXPECT_EQ(again_.size(), 1U);
    EXPECT_EQ(intake_.accepted(), before + 1);
  };
  give(walk, "p:t@redis:joe", answer(2 * hour, {"gpc0", "5"}, -1));
  store::Version last = table("t").table->version(said("joe"));
  const auto follows = [&] {
    const store::Version now = table("t").table->version(said("joe"));
    EXPECT_TRUE(now.newer_than(last));
    last = now;
  };
  twice(answer(hour, {"gpc0", "6"}, -1));
  EXPECT_EQ(gpc0("joe"), 6U);
  follows();
  twice(answer(hour + 1, {}, -2));
  EXPECT_TRUE(table("t").table->cleared_contribution(said("joe")));
  follows();
  twice(answer(hour + 2, {"gpc0", "7"}, -1));
  EXPECT_EQ(gpc0("joe"), 7U);
  follows();
  give(walk, "p:t@redis:joe", answer(hour + 3, {"gpc0", "8"}, -1));
  give(walk, "p:t@redis:joe", answer(3 * hour, {"gpc0", "9"}, -1));
  EXPECT_EQ(gpc0("joe"), 9U) << "it was only late";
  EXPECT_EQ(again_.size(), 2U);
}

TEST_F(IntakeTest, WhatIsRefused) {
  for (const char* key : {"p:u@redis:joe", "p:t2@redis:joe", "p:same1@redis:joe", "p:t@redis:",
                          "p:t%2@redis:joe", "p:t@redis:a-key-that-is-longer-than-thirty-two-bytes"}) {
    const std::uint64_t before = intake_.refused();
    give(key, answer(1, {"gpc0", "5"}, -1));
    EXPECT_EQ(intake_.refused(), before + 1) << key;
  }
  const std::vector<std::vector<std::string>> bad = {
      {"gpc7", "1"},          {"gpc0", ""}, {"gpc0", "-1"},        {"gpc0", "x"},
      {"gpc0", "4294967296"}, {"", "1"},    {"http_req_rate", "5"}};
  for (const auto& fields : bad) {
    const std::uint64_t before = intake_.refused();
    give("p:t@redis:joe", answer(1, fields, -1));
    EXPECT_EQ(intake_.refused(), before + 1) << fields[0] << "=" << fields[1];
  }
  give("p:t@redis:joe", {Reply::Type::kError, "EXECABORT Transaction discarded", 0, {}});
  give("p:t@redis:joe", {});
  Reply timeless = answer(1, {"gpc0", "5"}, -1);
  timeless.list[0].list[1].text = "1000000";
  give("p:t@redis:joe", timeless);
  EXPECT_EQ(said("joe"), store::kNone);
  EXPECT_EQ(intake_.accepted(), 0U);
}

TEST_F(IntakeTest, WhatOthersWouldTakeForBroken) {
  declare("tn", {{DataType::kServerKey}});
  give(std::string("p:t@redis:a\0b", 13), answer(1, {"gpc0", "5"}, -1));
  EXPECT_EQ(errors_.count(Reason::kBadKey), 1U);
  EXPECT_NE(errors_.recent().back().detail.find("NUL"), std::string::npos);
  for (const std::string& name : {std::string("a\0b", 3), std::string("a\nb"), std::string(256, 'x')})
    give("p:tn@redis:joe", answer(1, {"server_key", name}, -1));
  EXPECT_EQ(errors_.count(Reason::kValueOutOfRange), 3U);
  EXPECT_EQ(intake_.accepted(), 0U);
  give("p:tn@redis:joe", answer(1, {"server_key", std::string(255, 'x')}, -1));
  EXPECT_EQ(intake_.accepted(), 1U);
}

TEST_F(IntakeTest, AKeyHasOneSpelling) {
  declare("t4", {{DataType::kGpc0}}, std::chrono::minutes(10), KeyType::kInteger, 4);
  declare("t6", {{DataType::kGpc0}}, std::chrono::minutes(10), KeyType::kIpv6, 16);
  give("p:t4@redis:007", answer(1, {"gpc0", "5"}, -1));
  EXPECT_NE(errors_.recent().back().detail.find("written \"7\""), std::string::npos);
  give("p:t6@redis:2001:DB8::1", answer(1, {"gpc0", "5"}, -1));
  EXPECT_NE(errors_.recent().back().detail.find("written \"2001:db8::1\""), std::string::npos);
  EXPECT_EQ(errors_.count(Reason::kBadKey), 2U);
  give("p:t4@redis:7", answer(1, {"gpc0", "5"}, -1));
  give("p:t6@redis:2001:db8::1", answer(1, {"gpc0", "5"}, -1));
  EXPECT_EQ(intake_.accepted(), 2U);
}

TEST_F(IntakeTest, Announcements) {
  EXPECT_EQ(intake_.channel(), "p:accept");
  EXPECT_EQ(intake_.key_of("t:192.0.2.1:80", now_), "p:t@redis:192.0.2.1:80");
  for (const char* other : {"", "t", ":joe", "t:"})
    EXPECT_EQ(intake_.key_of(other, now_), std::nullopt) << other;
  EXPECT_EQ(intake_.refused(), 4U);
}

}  // namespace
}  // namespace stickmesh::redis
