#include "tests/unit/spoe/session_fixture.h"

namespace stickmesh::spoe {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FragmentsTest : public SpoeSessionTest {
 protected:
  static ByteVector first(std::string_view piece, std::uint32_t flags = 0, std::uint64_t stream_id = 1) {
    return frame({FrameType::kNotify, flags, stream_id, 1}, as_bytes(piece));
  }
  static ByteVector next(std::string_view piece, std::uint32_t flags = 0, std::uint64_t stream_id = 1) {
    return frame({FrameType::kUnset, flags, stream_id, 1}, as_bytes(piece));
  }
};

TEST_F(FragmentsTest, PiecesMayBeCutAnywhere) {
  establish();
  const ByteVector whole = payload();
  const std::string_view text = as_text(whole);
  for (std::size_t one = 0; one <= text.size(); ++one) {
    for (std::size_t two = one; two <= text.size(); ++two) {
      EXPECT_THAT(reply(first(text.substr(0, one)) + next(text.substr(one, two - one))), IsEmpty());
      EXPECT_THAT(reply(next(text.substr(two), kFin)), ElementsAre("ACK 1.1 2.ok=true"));
      EXPECT_THAT(handler.take_calls(), ElementsAre("event track(key=\"joe\",http_req_rate=1,=null)"));
    }
  }
}

TEST_F(FragmentsTest, AMalformedWholeIsAnsweredFalse) {
  establish();
  EXPECT_THAT(reply(first("\x05") + next("a", kFin)), ElementsAre("ACK 1.1 2.ok=false"));
  EXPECT_THAT(reply(notify(2)), ElementsAre("ACK 2.1 2.ok=true"));
}

TEST_F(FragmentsTest, OthersMayNotComeBetween) {
  establish();
  EXPECT_THAT(reply(first("a") + notify(2)), ElementsAre("DISCONNECT 11"));
  establish();
  EXPECT_THAT(reply(first("a") + first("b")), ElementsAre("DISCONNECT 11"));
  establish();
  EXPECT_THAT(reply(first("a") + next("b", 0, 2)), ElementsAre("DISCONNECT 11"));
  establish();
  EXPECT_THAT(reply(first("a") + haproxy_disconnect(Status::kNormal)), ElementsAre("DISCONNECT 0"));
}

TEST_F(FragmentsTest, APieceNeedsABeginning) {
  establish();
  EXPECT_THAT(reply(next("b", kFin)), ElementsAre("DISCONNECT 4"));
  establish();
  reply(first("") + next("", kFin));
  EXPECT_THAT(reply(next("", kFin)), ElementsAre("DISCONNECT 4"));
}

TEST_F(FragmentsTest, WhatHAProxyWithdrawsIsNotAnswered) {
  establish();
  EXPECT_THAT(reply(first("a") + next("", kFin | kAbort)), IsEmpty());
  EXPECT_THAT(reply(first("a") + next("", kAbort)), IsEmpty());
  EXPECT_THAT(reply(first("a", kFin | kAbort)), IsEmpty());
  EXPECT_EQ(session->counters().withdrawn, 3U);
  EXPECT_THAT(handler.calls, IsEmpty());
  EXPECT_THAT(reply(notify(2)), ElementsAre("ACK 2.1 2.ok=true"));
}

TEST_F(FragmentsTest, OneThatGrowsTooLongIsGivenUpAndItsRestDropped) {
  Options options;
  options.max_fragmented = 100;
  establish(options);
  const std::string piece(60, 'x');
  EXPECT_THAT(reply(first(piece) + next(piece)), ElementsAre("ACK/3 1.1 2.ok=false"));
  EXPECT_THAT(reply(next(piece) + next(piece, kFin)), IsEmpty());
  EXPECT_THAT(reply(notify(2)), ElementsAre("ACK 2.1 2.ok=true"));
  EXPECT_EQ(session->counters().fragmented_too_long, 1U);

  // HAProxy has read the answer before it sent the end: another event follows.
  EXPECT_THAT(reply(first(piece) + next(piece) + notify(3)),
              ElementsAre("ACK/3 1.1 2.ok=false", "ACK 3.1 2.ok=true"));
  EXPECT_THAT(reply(first(piece) + next(piece, kFin) + notify(4)),
              ElementsAre("ACK/3 1.1 2.ok=false", "ACK 4.1 2.ok=true"));
  EXPECT_THAT(reply(first(piece) + next(piece) + next("", kFin | kAbort) + next("", kFin)),
              ElementsAre("ACK/3 1.1 2.ok=false", "DISCONNECT 4"));
}

TEST_F(FragmentsTest, TheLongestIsTaken) {
  Options options;
  options.max_fragmented = payload().size();
  establish(options);
  const ByteVector whole = payload();
  EXPECT_THAT(reply(first(as_text(whole)) + next("", kFin)), ElementsAre("ACK 1.1 2.ok=true"));
}

TEST_F(FragmentsTest, TheEndMustComeInTime) {
  establish();
  receive(first("a"));
  for (int second = 0; second < 4; ++second) {
    EXPECT_FALSE(run_for(Duration(1000)));
    EXPECT_THAT(reply(next("b")), IsEmpty());
  }
  EXPECT_FALSE(run_for(Duration(1000)));
  EXPECT_THAT(drain(), ElementsAre("DISCONNECT 2"));
  EXPECT_EQ(ended(), Reason::kFrameTimeout);
}

TEST_F(FragmentsTest, ItsTimeCountsFromTheFirstPiece) {
  establish();
  receive(first("a"));
  now += Duration(30);
  EXPECT_THAT(reply(next("b", kFin)), ElementsAre("ACK 1.1 2.ok=false"));
  EXPECT_EQ(session->counters().overloaded, 1U);
}

}  // namespace
}  // namespace stickmesh::spoe
