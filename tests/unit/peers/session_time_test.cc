#include "tests/unit/peers/session_fixture.h"

namespace stickmesh::peers {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SessionTimeTest : public SessionTest {};

TEST_F(SessionTimeTest, HeartbeatsComeTwiceAtOnceAndThenEverySecond) {
  establish();
  EXPECT_THAT(run_for(Duration(3300)),
              ElementsAre("10: 0004", "250: 0004", "1250: 0004", "2250: 0004", "3250: 0004"));
  EXPECT_EQ(session->traffic().heartbeats_out, 5U);
}

TEST_F(SessionTimeTest, ANudgeBringsTwoEarlyHeartbeats) {
  establish();
  run_for(Duration(2300));
  session->nudge(now);
  EXPECT_EQ(wakeups, 1);
  EXPECT_EQ(session->deadline(), now + Duration(10));
  EXPECT_THAT(run_for(Duration(1500)), ElementsAre("2310: 0004", "2550: 0004", "3550: 0004"));
}

TEST_F(SessionTimeTest, ALateExpireSendsOneHeartbeatForAllThatWereMissed) {
  establish();
  advance(Duration(5000));
  ASSERT_TRUE(session->expire(now));
  EXPECT_EQ(drain(), "0004");
  EXPECT_EQ(session->deadline(), now + Duration(1000));
}

TEST_F(SessionTimeTest, SilenceEndsTheSession) {
  establish();
  run_for(Duration(9000));
  receive_all({"05"});  // half a header is a sign of life, too
  EXPECT_EQ(run_for(Duration(9999)).back().substr(0, 5), "18250");
  EXPECT_THAT(run_for(Duration(1)), ElementsAre("19000: idle-timeout"));
  EXPECT_EQ(session->close_reason()->reason, Reason::kIdleTimeout);
  EXPECT_FALSE(session->deadline());
}

TEST_F(SessionTimeTest, AHandshakeThatDoesNotEndIsClosed) {
  start(accepting());
  EXPECT_EQ(session->deadline(), now + Duration(5000));
  advance(Duration(4999));
  ASSERT_TRUE(session->receive(as_bytes("HAProxyS 2.1\nagent\n"), now));
  ASSERT_TRUE(session->expire(now));
  EXPECT_EQ(drain(), "");
  advance(Duration(1));
  const auto result = session->expire(now);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, Reason::kHandshakeTimeout);
  EXPECT_EQ(drain(), "");
}

TEST_F(SessionTimeTest, ADiallerThatIsNotAnsweredGivesUp) {
  start(dialling());
  drain();
  EXPECT_THAT(run_for(Duration(6000)), ElementsAre("5000: handshake-timeout"));
}

TEST_F(SessionTimeTest, APeerThatTakesNoBytesIsClosed) {
  establish();
  session->request_lesson(now);
  for (int second = 0; second < 10; ++second) {
    receive_all({vectors::kHeartbeat});
    ASSERT_TRUE(session->expire(now)) << second;
    advance(Duration(1000));
  }
  const auto result = session->expire(now);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, Reason::kNotReading);
}

TEST_F(SessionTimeTest, EveryByteTakenStartsTheWriteTimeoutAnew) {
  establish();
  session->append_update(std::vector<std::byte>(1000));
  for (int second = 0; second < 60; ++second) {
    receive_all({vectors::kHeartbeat});
    ASSERT_TRUE(session->expire(now)) << second;
    if (second % 9 == 0) session->sent(1, now);
    advance(Duration(1000));
  }
}

TEST_F(SessionTimeTest, OutputThatIsAppendedLateDoesNotCountFromTheLastCall) {
  Options options = accepting();
  options.heartbeat = Duration(600'000);
  options.idle_timeout = Duration(600'000);
  establish(options);
  run_for(Duration(1000));
  advance(Duration(50'000));
  session->append_update(std::vector<std::byte>(100));
  ASSERT_TRUE(session->expire(now));
  EXPECT_EQ(session->deadline(), now + options.write_timeout);
}

TEST_F(SessionTimeTest, SilenceIsNotCountedWhileReadingIsStopped) {
  Options options = accepting();
  options.write_timeout = Duration(600'000);
  establish(options);
  const std::vector<std::byte> update(16000);
  while (session->wants_input()) session->append_update(update);
  advance(Duration(20'000));
  ASSERT_TRUE(session->expire(now));
  session->sent(session->pending().size(), now);
  EXPECT_TRUE(session->wants_input());
  advance(Duration(9'999));
  ASSERT_TRUE(session->expire(now));
  advance(Duration(1));
  EXPECT_FALSE(session->expire(now));
}

TEST_F(SessionTimeTest, HeartbeatsDoNotPileUpBehindPendingOutput) {
  Options options = accepting();
  options.low_water = 100;
  options.write_timeout = Duration(600'000);
  options.idle_timeout = Duration(600'000);
  establish(options);
  for (int second = 0; second < 500; ++second) {
    advance(Duration(1000));
    ASSERT_TRUE(session->expire(now));
  }
  EXPECT_LE(session->pending().size(), 100U);
}

}  // namespace
}  // namespace stickmesh::peers
