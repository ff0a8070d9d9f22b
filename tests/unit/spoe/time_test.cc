#include "tests/unit/spoe/session_fixture.h"

namespace stickmesh::spoe {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class TimeTest : public SpoeSessionTest {
 protected:
  Options clocked() {
    Options options;
    options.clock = [this] {
      ++looks;
      return clock;
    };
    return options;
  }

  TimePoint clock = now;
  int looks = 0;
};

TEST_F(TimeTest, WhoSaysNothingHearsNothing) {
  start();
  EXPECT_FALSE(run_for(Duration(4999)));
  const auto over = run_for(Duration(1));
  ASSERT_TRUE(over);
  EXPECT_EQ(over->reason, Reason::kHandshakeTimeout);
  EXPECT_THAT(drain(), IsEmpty());
}

TEST_F(TimeTest, AHelloMustBeCompleteInTime) {
  const ByteVector hello = haproxy_hello();
  start();
  for (std::size_t at = 0; at < 5; ++at) {
    EXPECT_FALSE(session->ended());
    receive(Bytes(hello).subspan(at, 1));
    run_for(Duration(1000));
  }
  EXPECT_THAT(drain(), ElementsAre("DISCONNECT 2"));
  EXPECT_EQ(ended(), Reason::kHandshakeTimeout);
}

TEST_F(TimeTest, AFrameMustBeCompleteInTime) {
  const ByteVector event = notify();
  for (const std::size_t part : {std::size_t{1}, std::size_t{5}, event.size() - 1}) {
    establish();
    EXPECT_FALSE(run_for(Duration(600'000)));
    receive(Bytes(event).first(part));
    EXPECT_FALSE(run_for(Duration(4999)));
    EXPECT_FALSE(session->ended());
    run_for(Duration(1));
    EXPECT_THAT(drain(), ElementsAre("DISCONNECT 2"));
    EXPECT_EQ(ended(), Reason::kFrameTimeout);
  }
}

TEST_F(TimeTest, EachFrameHasItsOwnTime) {
  const ByteVector event = notify();
  establish();
  receive(Bytes(event).first(5));
  for (int round = 0; round < 10; ++round) {
    EXPECT_FALSE(run_for(Duration(4000)));
    receive(Bytes(event).subspan(5));
    receive(Bytes(event).first(5));
    EXPECT_THAT(drain(), SizeIs(1));
  }
}

TEST_F(TimeTest, AnIdleConnectionStaysForEver) {
  establish();
  EXPECT_FALSE(session->deadline());
}

TEST_F(TimeTest, EventsThatAreLateAreAnsweredWithoutTheHandler) {
  establish(clocked());
  handler.on_notified = [this](MessageReader, Answer&) -> Result<void> {
    clock += Duration(10);
    return {};
  };
  ByteVector bytes;
  for (std::uint64_t id = 1; id <= 5; ++id) bytes = bytes + notify(id);
  // The clock is looked at for each, because each takes its time; the third is the last to begin before 30
  // ms.
  EXPECT_THAT(reply(bytes), ElementsAre("ACK 1.1 2.ok=true", "ACK 2.1 2.ok=true", "ACK 3.1 2.ok=true",
                                        "ACK 4.1 2.ok=false", "ACK 5.1 2.ok=false"));
  EXPECT_THAT(handler.calls, SizeIs(4));
  EXPECT_THAT(handler.calls,
              Contains(HasSubstr("refused 2 overload: answered without a decision: [spoe] deadline = 30ms")));
  EXPECT_EQ(session->counters().overloaded, 2U);
  EXPECT_EQ(session->state(), State::kRunning);
}

TEST_F(TimeTest, WhatWaitedBeforeTheCallIsLateAtOnce) {
  establish(clocked());
  clock += Duration(30);
  EXPECT_THAT(reply(notify()), ElementsAre("ACK 1.1 2.ok=false"));
  EXPECT_THAT(handler.calls, ElementsAre(HasSubstr("refused 1 overload")));
}

TEST_F(TimeTest, AnswersAreInFlightUntilAllOfThemAreTaken) {
  std::vector<std::pair<std::uint64_t, TimePoint>> taken;
  Options options;
  options.on_sent = [&taken](std::uint64_t events, TimePoint since) { taken.emplace_back(events, since); };
  establish(options);
  EXPECT_THAT(taken, IsEmpty()) << "HELLO is no event";
  const TimePoint began = now;
  const ByteVector event = notify(1);
  receive(Bytes(event).first(5));
  now += Duration(2);
  receive(Bytes(event).subspan(5));
  receive(notify(2));
  EXPECT_EQ(session->in_flight(), 2U);
  session->sent(1, now);
  EXPECT_EQ(session->in_flight(), 2U);
  EXPECT_THAT(taken, IsEmpty());
  now += Duration(3);
  drain();
  EXPECT_EQ(session->in_flight(), 0U);
  EXPECT_THAT(taken, ElementsAre(std::pair(std::uint64_t{2}, began)));
}

TEST_F(TimeTest, WhatWaitedWhileTheProcessWasHeldUpIsLate) {
  establish();
  const ByteVector event = notify();
  Duration waited{29};
  session->set_waited([&waited] { return waited; });
  now += Duration(1000);
  EXPECT_THAT(reply(event), ElementsAre("ACK 1.1 2.ok=true"));
  now += Duration(1000);
  receive(Bytes(event).first(3));
  now += Duration(1);
  waited = Duration(0);
  EXPECT_THAT(reply(Bytes(event).subspan(3)), ElementsAre("ACK 1.1 2.ok=false"));
  now += Duration(1000);
  waited = Duration(30);
  EXPECT_THAT(reply(event), ElementsAre("ACK 1.1 2.ok=false"));
  EXPECT_THAT(reply(event), ElementsAre("ACK 1.1 2.ok=false")) << "more of what waited";
  EXPECT_THAT(handler.calls, ElementsAre(HasSubstr("event "), HasSubstr("refused 1 overload"),
                                         HasSubstr("refused 1 overload"), HasSubstr("refused 1 overload")));
}

TEST_F(TimeTest, WhileAnswersAreQuickTheClockIsSeldomRead) {
  establish(clocked());
  ByteVector bytes;
  for (std::uint64_t id = 1; id <= 800; ++id) bytes = bytes + notify(id);
  receive(bytes);
  EXPECT_LE(looks, 110);
}

TEST_F(TimeTest, AFrameIsAsOldAsItsFirstByte) {
  establish();
  const ByteVector event = notify();
  receive(Bytes(event).first(3));
  now += Duration(29);
  EXPECT_THAT(reply(Bytes(event).subspan(3)), ElementsAre("ACK 1.1 2.ok=true"));
  receive(Bytes(event).first(3));
  now += Duration(30);
  EXPECT_THAT(reply(Bytes(event).subspan(3)), ElementsAre("ACK 1.1 2.ok=false"));
}

}  // namespace
}  // namespace stickmesh::spoe
