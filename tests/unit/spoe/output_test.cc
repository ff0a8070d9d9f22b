#include "tests/unit/spoe/session_fixture.h"

namespace stickmesh::spoe {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class OutputTest : public SpoeSessionTest {
 protected:
  /// Each answer has some 10 KB, and 100 KB stop the reading.
  void establish_talkative() {
    Options options;
    options.high_water = 100'000;
    establish(options);
    handler.on_notified = [](MessageReader, Answer& answer) -> Result<void> {
      answer.set(Scope::kTransaction, "v", Value::string(std::string(10'000, 'x')));
      return {};
    };
  }
  static ByteVector events(std::uint64_t count) {
    ByteVector bytes;
    for (std::uint64_t id = 1; id <= count; ++id) bytes = bytes + notify(id);
    return bytes;
  }
};

TEST_F(OutputTest, WhoDoesNotReadIsNotReadAndCostsBoundedMemory) {
  establish_talkative();
  receive(events(1000));
  EXPECT_FALSE(session->wants_input());
  EXPECT_LT(session->pending().size(), 120'000U);
  EXPECT_EQ(session->counters().events, 10U);
}

TEST_F(OutputTest, GoesOnWhenOutputIsTaken) {
  establish_talkative();
  const ByteVector bytes = events(100);
  receive(Bytes(bytes).first(bytes.size() - 3));
  std::size_t answers = 0, rounds = 0;
  while (!session->pending().empty() && ++rounds < 1000) {
    answers += drain().size();
    if (session->wants_input() && rounds == 50) break;
  }
  EXPECT_EQ(answers, 99U);
  EXPECT_TRUE(session->wants_input());
  EXPECT_THAT(reply(Bytes(bytes).subspan(bytes.size() - 3)), SizeIs(1));
}

TEST_F(OutputTest, WhatWaitedTooLongIsAnsweredFalse) {
  establish_talkative();
  receive(events(30));
  now += Duration(40);
  EXPECT_THAT(drain(), SizeIs(10));
  EXPECT_THAT(drain(), SizeIs(20));
  EXPECT_EQ(session->counters().overloaded, 20U);
}

TEST_F(OutputTest, WhoNeverReadsIsClosed) {
  establish_talkative();
  receive(events(30));
  EXPECT_FALSE(run_for(Duration(9999)));
  session->sent(1, now);
  EXPECT_FALSE(run_for(Duration(9999)));
  const auto over = run_for(Duration(1));
  ASSERT_TRUE(over);
  EXPECT_EQ(over->reason, Reason::kNotReading);
}

TEST_F(OutputTest, AFrameIsNotWaitedForWhileNothingIsRead) {
  establish_talkative();
  const ByteVector bytes = events(30);
  receive(Bytes(bytes).first(bytes.size() - 3));
  for (int second = 0; second < 20; ++second) {
    EXPECT_FALSE(run_for(Duration(1000)));
    session->sent(1, now);
  }
  EXPECT_FALSE(session->ended());
}

TEST_F(OutputTest, PartialWritesLoseNothing) {
  establish();
  receive(events(50));
  ByteVector seen;
  while (!session->pending().empty()) {
    seen.push_back(session->pending()[0]);
    session->sent(1, now);
  }
  EXPECT_THAT(describe_frames(seen), SizeIs(50));
  EXPECT_EQ(session->counters().bytes_out, seen.size() + 82U);
}

}  // namespace
}  // namespace stickmesh::spoe
