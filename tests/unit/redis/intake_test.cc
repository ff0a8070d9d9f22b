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
  void give(const std::string& key, const Reply& answer) {
    Walk walk = intake_.walk([](std::string_view) { return true; });
    walk.read(*session_, {key}, now_);
    for (int reply = 0; reply < 4; ++reply) ASSERT_TRUE(walk.replied(*session_, {}, now_));
    ASSERT_TRUE(walk.replied(*session_, answer, now_));
    EXPECT_TRUE(walk.done());
  }
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

TEST_F(IntakeTest, ASweepTakesBackWhatWasNotSeenSince) {
  give("p:t@redis:joe", answer(1, {"gpc0", "5"}, -1));
  give("p:t@redis:other", answer(1, {"gpc0", "5"}, -1));
  give("p:t@redis:amy", answer(20, {"gpc0", "5"}, -1));
  set("t", "joe", {{"gpc0", 3}});
  intake_.sweep(
      *Intake::time_of(answer(10, {}, 0).list[0]),
      [](std::string_view key) { return key != "p:t@redis:other"; }, now_);
  EXPECT_EQ(gpc0("joe"), 0U);
  EXPECT_EQ(gpc0("amy"), 5U) << "it was read since";
  EXPECT_EQ(gpc0("other"), 5U) << "another server has it";
  EXPECT_TRUE(table("t").table->shown(entry("t", "joe"), now_)) << "what others say of it stays";
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
