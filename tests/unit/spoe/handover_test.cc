#include "tests/unit/spoe/session_fixture.h"

namespace stickmesh::spoe {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class HandoverTest : public SpoeSessionTest {
 protected:
  /// Another process takes over.
  void hand_over(const Options& options = {}) {
    std::optional<SavedSession> saved = session->export_state();
    ASSERT_TRUE(saved);
    const SavedSession copy = *saved;
    session.emplace(options, handler, std::move(*saved), now);
    session->set_unread([this] { return unread; });
    EXPECT_EQ(session->export_state(), copy);
  }
};

TEST_F(HandoverTest, AtAnyByteOfAConversation) {
  const ByteVector messages = payload();
  const std::string_view text = as_text(messages);
  const ByteVector bytes = haproxy_hello() + notify(1) +
                           frame({FrameType::kNotify, 0, 2, 1}, as_bytes(text.substr(0, 7))) +
                           frame({FrameType::kUnset, 0, 2, 1}, as_bytes(text.substr(7, 9))) +
                           frame({FrameType::kUnset, kFin, 2, 1}, as_bytes(text.substr(16))) + notify(3) +
                           haproxy_disconnect(Status::kNormal);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    for (const std::size_t taken : {std::size_t{0}, std::size_t{13}, std::size_t{1000}}) {
      start();
      handler.calls.clear();
      receive(Bytes(bytes).first(cut));
      ByteVector seen;
      const Bytes pending = session->pending();
      seen.assign(pending.begin(),
                  pending.begin() + static_cast<std::ptrdiff_t>(std::min(taken, pending.size())));
      session->sent(seen.size(), now);
      hand_over();
      receive(Bytes(bytes).subspan(cut));
      seen.insert(seen.end(), session->pending().begin(), session->pending().end());
      ASSERT_THAT(describe_frames(seen),
                  ElementsAre("HELLO 16380 pipelining fragmentation", "ACK 1.1 2.ok=true",
                              "ACK 2.1 2.ok=true", "ACK 3.1 2.ok=true", "DISCONNECT 0"))
          << cut;
      EXPECT_THAT(handler.calls, SizeIs(4));
      EXPECT_EQ(session->engine_id(), "ff1e3a20-engine");
      EXPECT_EQ(session->frame_size(), 16380U);
      EXPECT_EQ(session->counters().events, 3U);
    }
  }
}

TEST_F(HandoverTest, EventsThatWaitedForOutputAreAnsweredByTheSuccessor) {
  Options options;
  options.high_water = 1000;
  establish(options);
  handler.on_notified = [](MessageReader, Answer& answer) -> Result<void> {
    answer.set(Scope::kTransaction, "v", Value::string(std::string(300, 'x')));
    return {};
  };
  ByteVector bytes;
  for (std::uint64_t id = 1; id <= 10; ++id) bytes = bytes + notify(id);
  receive(bytes);
  EXPECT_EQ(session->counters().events, 4U);
  hand_over(options);
  EXPECT_FALSE(session->wants_input());
  std::size_t answers = 0;
  for (int round = 0; round < 10; ++round) answers += drain().size();
  EXPECT_EQ(answers, 10U);
  EXPECT_EQ(session->counters().events, 10U);

  // With more room for output than there was, nothing needs to be taken first.
  establish(options);
  receive(bytes);
  hand_over();
  ASSERT_EQ(session->deadline(), now);
  ASSERT_TRUE(session->expire(now));
  EXPECT_THAT(drain(), SizeIs(10));
}

TEST_F(HandoverTest, WhatWaitsIsAsOldAsItWas) {
  const ByteVector event = notify();
  establish();
  receive(Bytes(event).first(5));
  now += Duration(15);
  hand_over();
  now += Duration(15);
  EXPECT_THAT(reply(Bytes(event).subspan(5)), ElementsAre("ACK 1.1 2.ok=false"));
}

TEST_F(HandoverTest, AHealthCheckGoesOn) {
  start();
  reply(health_check());
  hand_over();
  EXPECT_EQ(session->state(), State::kHealthCheck);
  EXPECT_TRUE(run_for(Duration(1000)));
}

TEST_F(HandoverTest, AnEndingConnectionIsNotWorthIt) {
  establish();
  receive(haproxy_disconnect(Status::kNormal));
  EXPECT_FALSE(session->export_state());
}

}  // namespace
}  // namespace stickmesh::spoe
