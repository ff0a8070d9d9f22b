#include "tests/unit/peers/session_fixture.h"

namespace stickmesh::peers {
namespace {

class SessionOutputTest : public SessionTest {};

TEST_F(SessionOutputTest, ADefinitionIsSentWhenTheTableChanges) {
  establish();
  session->select(1, vectors::src_table());
  session->append_update(from_hex(vectors::kSrcEntry));
  session->select(1, vectors::src_table());
  session->append_update(from_hex(vectors::kSrcTimed));
  EXPECT_EQ(drain(), plain(vectors::kDefineSrc) + plain(vectors::kSrcEntry) + plain(vectors::kSrcTimed));
  session->select(3, vectors::t1_table());
  session->select(1, vectors::src_table());
  EXPECT_EQ(drain(), plain(vectors::kDefineT1) + plain(vectors::kDefineSrc));
  EXPECT_EQ(session->traffic().updates_out, 2U);
}

TEST_F(SessionOutputTest, ADefinitionThatChangedIsSentAgain) {
  establish();
  TableDefinition table = vectors::src_table();
  session->select(1, table);
  drain();
  table.types.pop_back();
  session->select(1, table);
  EXPECT_NE(drain(), "");
}

TEST_F(SessionOutputTest, ControlMessagesKeepTheSelection) {
  establish();
  session->select(1, vectors::src_table());
  session->request_lesson(now);
  drain();
  session->select(1, vectors::src_table());
  EXPECT_EQ(drain(), "");
}

TEST_F(SessionOutputTest, WakesTheConnectionWhenBytesBecomePendingOutsideItsCalls) {
  establish();
  EXPECT_EQ(wakeups, 0);
  session->select(1, vectors::src_table());
  EXPECT_EQ(wakeups, 1);
  session->append_update(from_hex(vectors::kSrcEntry));
  EXPECT_EQ(wakeups, 1);
  drain();
  session->append_update(from_hex(vectors::kSrcEntry));
  EXPECT_EQ(wakeups, 2);
  drain();
  session->request_lesson(now);
  EXPECT_EQ(wakeups, 3);
  session->close({Reason::kReplacedSession, {}});
  EXPECT_EQ(wakeups, 4);
}

TEST_F(SessionOutputTest, DoesNotWakeTheConnectionInsideItsCalls) {
  handler.on_established = [this] {
    session->request_lesson(now);
    session->nudge(now);
  };
  start(accepting());
  handler.on_lesson_requested = [this] { session->finish_lesson(/*complete=*/false, now); };
  ASSERT_TRUE(session->receive(as_bytes("HAProxyS 2.1\nagent\nlb1 1 1\n"), now));
  ASSERT_TRUE(receive("00 00"));
  EXPECT_EQ(drain(), to_hex(as_bytes("200\n")) + "00000002");
  handler.on_writable = [this] { session->close({Reason::kReplacedSession, {}}); };
  session->sent(0, now);
  EXPECT_TRUE(session->close_reason());
  EXPECT_EQ(wakeups, 0);
}

TEST_F(SessionOutputTest, AsksForMoreWhenOutputFallsBelowTheLowWaterMark) {
  Options options = accepting();
  options.low_water = 1000;
  establish(options);
  int asked = 0;
  const std::vector<std::byte> update(600);
  handler.on_writable = [&] {
    ++asked;
    session->append_update(update);
    session->append_update(update);
  };
  session->append_update(update);
  session->append_update(update);
  session->sent(200, now);
  EXPECT_EQ(asked, 0);
  EXPECT_EQ(session->pending().size(), 1000U);
  session->sent(1, now);
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(session->pending().size(), 2199U);
  session->sent(2199, now);
  EXPECT_EQ(asked, 2);
}

TEST_F(SessionOutputTest, BytesStayInOrderHoweverTheyAreTaken) {
  establish();
  std::vector<std::byte> expected;
  std::vector<std::byte> seen;
  std::uint32_t counter = 0;
  for (std::size_t round = 0; round < 400; ++round) {
    std::vector<std::byte> update;
    Writer writer(update);
    while (update.size() < 1024) writer.u32be(counter++);
    session->append_update(update);
    expected.insert(expected.end(), update.begin(), update.end());
    const Bytes pending = session->pending();
    const std::size_t taken = std::min<std::size_t>(pending.size(), round % 7 * 300);
    seen.insert(seen.end(), pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(taken));
    session->sent(taken, now);
  }
  const Bytes rest = session->pending();
  seen.insert(seen.end(), rest.begin(), rest.end());
  EXPECT_EQ(seen, expected);
}

TEST_F(SessionOutputTest, AnUpdateThatHAProxyCouldNotTakeIsLeftOutAndCounted) {
  establish();
  session->append_update(std::vector<std::byte>(kMaxSentMessage));
  EXPECT_EQ(session->pending().size(), kMaxSentMessage);
  session->append_update(std::vector<std::byte>(kMaxSentMessage + 1));
  EXPECT_EQ(session->pending().size(), kMaxSentMessage);
  EXPECT_EQ(session->traffic().updates_too_long, 1U);
  EXPECT_EQ(session->traffic().updates_out, 1U);
}

TEST_F(SessionOutputTest, APeerThatAsksWithoutReadingIsNotReadEither) {
  establish();
  handler.on_lesson_requested = [this] {
    session->append_update(std::vector<std::byte>(1000));
    session->finish_lesson(/*complete=*/true, now);
  };
  std::size_t requests = 0;
  while (session->wants_input() && requests < 100'000) {
    ASSERT_TRUE(receive("00 00"));
    ++requests;
  }
  EXPECT_LT(requests, 1100U);
  drain();
  EXPECT_TRUE(session->wants_input());
}

}  // namespace
}  // namespace stickmesh::peers
