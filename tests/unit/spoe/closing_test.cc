#include "tests/unit/spoe/session_fixture.h"

namespace stickmesh::spoe {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ClosingTest : public SpoeSessionTest {};

TEST_F(ClosingTest, AfterADisconnectInputIsDroppedUntilTheOtherSideCloses) {
  establish();
  EXPECT_THAT(reply(haproxy_hello()), ElementsAre("DISCONNECT 4"));
  EXPECT_TRUE(session->wants_input());
  EXPECT_FALSE(session->close_reason());
  EXPECT_THAT(reply(notify()), IsEmpty());
  EXPECT_FALSE(run_for(Duration(999)));
  const auto over = run_for(Duration(1));
  ASSERT_TRUE(over);
  EXPECT_EQ(over->reason, Reason::kBadFrame);
  EXPECT_EQ(session->close_reason()->reason, Reason::kBadFrame);
  EXPECT_FALSE(session->receive(notify(), now));
}

TEST_F(ClosingTest, WhyItEndedOutlivesTheOtherSidesClose) {
  establish();
  reply(haproxy_hello());
  session->closed({Reason::kConnectionLost, "closed by the other side"}, now);
  EXPECT_EQ(ended(), Reason::kBadFrame);
}

TEST_F(ClosingTest, ASoftStopServesAndClosesWhenIdle) {
  establish();
  session->drain(now);
  EXPECT_EQ(wakeups, 1);
  for (int round = 0; round < 20; ++round) {
    EXPECT_FALSE(run_for(Duration(99)));
    EXPECT_THAT(reply(notify()), ElementsAre("ACK 1.1 2.ok=true"));
  }
  run_for(Duration(99));
  EXPECT_FALSE(session->ended());
  run_for(Duration(1));
  EXPECT_THAT(drain(), ElementsAre("DISCONNECT 0"));
}

TEST_F(ClosingTest, ASoftStopClosesAnIdleConnectionAtOnce) {
  establish();
  now += Duration(5000);
  session->drain(now);
  run_for(Duration(0));
  EXPECT_THAT(drain(), ElementsAre("DISCONNECT 0"));
}

TEST_F(ClosingTest, ASoftStopWaitsForWhatIsUnderWay) {
  const ByteVector event = notify();
  establish();
  session->drain(now);
  receive(Bytes(event).first(5));
  run_for(Duration(1000));
  EXPECT_FALSE(session->ended());
  receive(Bytes(event).subspan(5));
  // An answer that is not taken, then bytes that the kernel has and we have not.
  run_for(Duration(1000));
  EXPECT_FALSE(session->ended());
  drain();
  unread = 1;
  run_for(Duration(1000));
  EXPECT_FALSE(session->ended());
  unread = 0;
  run_for(Duration(100));
  EXPECT_THAT(drain(), ElementsAre("DISCONNECT 0"));
}

TEST_F(ClosingTest, ASoftStopTakesAHelloStill) {
  start();
  session->drain(now);
  EXPECT_FALSE(run_for(Duration(1000)));
  EXPECT_THAT(reply(haproxy_hello()), ElementsAre("HELLO 16380 pipelining fragmentation"));
}

TEST_F(ClosingTest, TheEndOfPatienceTellsAConnectionInUseSo) {
  establish();
  now += Duration(1000);
  session->disconnect(now);
  EXPECT_THAT(drain(), ElementsAre("DISCONNECT 0"));

  establish();
  now += Duration(1000);
  reply(notify());
  session->disconnect(now);
  EXPECT_THAT(drain(), ElementsAre("DISCONNECT 13"));
  session->disconnect(now);
  EXPECT_THAT(drain(), IsEmpty());
}

TEST_F(ClosingTest, EndOfInputAtAnyPointIsANormalClose) {
  const ByteVector bytes = haproxy_hello() + notify();
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    start();
    receive(Bytes(bytes).first(size));
    session->closed({Reason::kConnectionLost, "reset"}, now);
    EXPECT_EQ(ended(), Reason::kConnectionLost);
    EXPECT_TRUE(session->pending().empty());
    EXPECT_FALSE(session->deadline());
  }
}

}  // namespace
}  // namespace stickmesh::spoe
