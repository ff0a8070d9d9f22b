#include "tests/unit/spoe/event_fixture.h"

namespace stickmesh::spoe {
namespace {

using Type = stickmesh::DataType;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr Duration kLimitPeriod{10'000};

class VerdictTest : public EventHandlerTest {
 protected:
  static pipeline::HubSetup setup() {
    pipeline::HubSetup setup = pipeline::Agent::default_setup();
    setup.limits = {{"rate", "http.total", Type::kHttpReqRate, {10, false}},
                    {"count", "http", Type::kHttpReqCnt, {20, false}},
                    {"tried", "http", Type::kHttpReqCnt, {5, true}},
                    {"elsewhere", "other", Type::kHttpReqCnt, {0, false}}};
    return setup;
  }
  VerdictTest() : EventHandlerTest(setup()) {
    declare("http",
            {{Type::kHttpReqCnt, 1, {}}, {Type::kHttpReqRate, 1, kLimitPeriod}, {Type::kGpc0, 1, {}}});
  }
  std::string track(const NamedValues& counts, std::string_view name = "track") {
    NamedValues arguments = {{"table", Value::string("http")}, {"key", Value::string("joe")}};
    arguments.insert(arguments.end(), counts.begin(), counts.end());
    return say(name, arguments);
  }
  std::string requests(std::int64_t count) { return track({{"http_req_cnt", Value::int64(count)}}); }
  std::string rate(std::int64_t count) { return track({{"http_req_rate", Value::int64(count)}}); }
};

TEST_F(VerdictTest, WithoutALimitOfTheTypeThereIsNone) {
  EXPECT_EQ(track({{"gpc0", Value::int64(100)}}), " 2.found=false 2.ready=false 2.gpc0=100");
}

TEST_F(VerdictTest, UpToTheLimitIsAllowed) {
  EXPECT_EQ(rate(10), " 2.found=false 2.ready=false 2.http_req_rate=10 2.verdict=\"allow\"");
}

TEST_F(VerdictTest, AboveItIsDeniedUntilTheRateHasFallen) {
  // All of it counts until the period is over, and then fades: down to 10 of 20 half a period later.
  EXPECT_EQ(rate(20),
            " 2.found=false 2.ready=false 2.http_req_rate=20 2.verdict=\"deny\" 2.reason=\"rate\" "
            "2.retry_after=15");
  now_ += Duration(14'500);
  const std::string lookup =
      say("lookup", {{"table", Value::string("http.total")}, {"key", Value::string("joe")}});
  EXPECT_THAT(lookup, HasSubstr(" 2.verdict=\"deny\" 2.reason=\"rate\" 2.retry_after=1"));
  now_ += Duration(600);
  EXPECT_THAT(say("lookup", {{"table", Value::string("http")}, {"key", Value::string("joe")}}),
              HasSubstr(" 2.verdict=\"allow\""));
}

TEST_F(VerdictTest, ACounterFallsWhenItsEntryExpires) {
  EXPECT_THAT(requests(21), HasSubstr(" 2.verdict=\"deny\" 2.reason=\"count\" 2.retry_after=600"));
}

TEST_F(VerdictTest, AShadowIsOnlyNamed) {
  EXPECT_EQ(requests(6),
            " 2.found=false 2.ready=false 2.http_req_cnt=6 2.verdict=\"allow\" 2.reason=\"tried\" "
            "2.retry_after=600");
}

TEST_F(VerdictTest, OfSeveralTheOneThatIsEnforcedAndLastsLongestIsNamed) {
  EXPECT_THAT(track({{"http_req_rate", Value::int64(20)}, {"http_req_cnt", Value::int64(21)}}),
              HasSubstr(" 2.verdict=\"deny\" 2.reason=\"count\" 2.retry_after=600"));
}

TEST_F(VerdictTest, ChangesAtRunTimeHoldAtOnce) {
  requests(21);
  ASSERT_TRUE(agent_.hub.set_limit("count", pipeline::LimitValue{30, false}));
  EXPECT_THAT(requests(1), HasSubstr(" 2.verdict=\"allow\" 2.reason=\"tried\""));
  ASSERT_TRUE(agent_.hub.set_limit("tried", pipeline::LimitValue{100, true}));
  EXPECT_EQ(requests(1), " 2.found=true 2.ready=false 2.http_req_cnt=23 2.verdict=\"allow\"");
  ASSERT_TRUE(agent_.hub.set_limit("tried", pipeline::LimitValue{22, false}));
  EXPECT_THAT(requests(1), HasSubstr(" 2.verdict=\"deny\" 2.reason=\"tried\""));
}

TEST_F(VerdictTest, AUseHasItsOwn) {
  EXPECT_EQ(track({{"http_req_cnt", Value::int64(21)}}, "track-api"),
            " 2.api.found=false 2.api.ready=false 2.api.http_req_cnt=21 2.api.verdict=\"deny\" "
            "2.api.reason=\"count\" "
            "2.api.retry_after=600");
}

TEST_F(VerdictTest, WithoutAKeyThereIsNone) {
  const std::string answer = say(
      "track", {{"table", Value::string("http")}, {"key", Value::null()}, {"http_req_cnt", Value::int64(1)}});
  EXPECT_THAT(answer, Not(HasSubstr("verdict")));
}

}  // namespace
}  // namespace stickmesh::spoe
