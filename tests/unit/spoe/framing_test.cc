#include "tests/unit/spoe/session_fixture.h"

namespace stickmesh::spoe {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FramingTest : public SpoeSessionTest {
 protected:
  /// What a running session says to |bytes| after an event that is answered, and why it ends.
  std::string after_event(Bytes bytes) {
    establish();
    receive(notify());
    receive(bytes);
    receive(notify(2));
    const std::vector<std::string> frames = drain();
    EXPECT_EQ(frames.at(0), "ACK 1.1 2.ok=true");
    EXPECT_EQ(frames.size(), 2U);
    return fmt::format("{}: {}", frames.back(), reason_name(ended()));
  }
};

TEST_F(FramingTest, ALengthThatCannotBeEndsTheConnection) {
  EXPECT_EQ(after_event(from_hex("00000000")), "DISCONNECT 4: bad-frame");
  EXPECT_EQ(after_event(from_hex("00000001")), "DISCONNECT 4: bad-frame");
  EXPECT_EQ(after_event(from_hex("00000006 03 00000001")), "DISCONNECT 4: bad-frame");
  EXPECT_EQ(after_event(from_hex("00003ffd")), "DISCONNECT 3: message-too-long");
  EXPECT_EQ(after_event(from_hex("7fffffff")), "DISCONNECT 3: message-too-long");
  EXPECT_EQ(after_event(from_hex("ffffffff")), "DISCONNECT 3: message-too-long");
  EXPECT_EQ(after_event(from_hex("00000007 03 00000001 f0 80")), "DISCONNECT 4: bad-frame");
  EXPECT_EQ(after_event(from_hex("00000008 03 00000001 f0 80 80")), "DISCONNECT 4: bad-frame");
}

TEST_F(FramingTest, ALengthThatIsWrongByOneIsFoundByWhatFollows) {
  ByteVector longer = notify(5) + notify(6);
  longer[3] = static_cast<std::byte>(std::to_integer<unsigned>(longer[3]) + 1);
  establish();
  receive(longer + notify(7) + notify(8));
  EXPECT_THAT(drain(), ::testing::Contains("DISCONNECT 4").Times(0));
  EXPECT_EQ(session->counters().malformed, 1U);

  ByteVector shorter = notify(5) + notify(6);
  shorter[3] = static_cast<std::byte>(std::to_integer<unsigned>(shorter[3]) - 1);
  establish();
  EXPECT_EQ(reply(shorter).at(0), "ACK 5.1 2.ok=false");
}

TEST_F(FramingTest, AFrameIdOfZeroEndsTheConnection) {
  EXPECT_EQ(after_event(notify(1, 0)), "DISCONNECT 4: bad-frame");
}

TEST_F(FramingTest, WhatOnlyAgentsSendEndsTheConnection) {
  EXPECT_EQ(after_event(frame({FrameType::kAgentHello, kFin, 0, 0})), "DISCONNECT 4: bad-frame");
  EXPECT_EQ(after_event(frame({FrameType::kAgentDisconnect, kFin, 0, 0})), "DISCONNECT 4: bad-frame");
  EXPECT_EQ(after_event(frame({FrameType::kAck, kFin, 1, 1})), "DISCONNECT 4: bad-frame");
}

TEST_F(FramingTest, UnknownTypesAreSkipped) {
  establish();
  for (const unsigned type : {4U, 50U, 100U, 104U, 255U}) {
    EXPECT_THAT(reply(frame({static_cast<FrameType>(type), 0, 0, 0}, as_bytes("anything"))), IsEmpty());
  }
  EXPECT_EQ(session->counters().skipped, 5U);
  EXPECT_THAT(reply(notify()), ElementsAre("ACK 1.1 2.ok=true"));
}

TEST_F(FramingTest, ReservedFlagsAreIgnored) {
  establish();
  EXPECT_THAT(reply(frame({FrameType::kNotify, 0xfffffffd, 1, 1}, payload())),
              ElementsAre("ACK 1.1 2.ok=true"));
}

TEST_F(FramingTest, HAProxysGoodbyeIsAnswered) {
  EXPECT_EQ(after_event(haproxy_disconnect(Status::kNormal)), "DISCONNECT 0: connection-lost");
  EXPECT_EQ(after_event(haproxy_disconnect(Status::kIo)), "DISCONNECT 0: connection-lost");
  EXPECT_EQ(after_event(haproxy_disconnect(Status::kTimeout)), "DISCONNECT 0: connection-lost");
  EXPECT_EQ(after_event(haproxy_disconnect(Status::kInvalid)), "DISCONNECT 0: peer-reported-error");
  EXPECT_EQ(session->ended()->detail, "HAProxy disconnects with status 4 (invalid frame): \"bye\"");
}

TEST_F(FramingTest, AGoodbyeThatCannotBeReadIsRefused) {
  EXPECT_EQ(after_event(frame({FrameType::kHaproxyDisconnect, 0, 0, 0})), "DISCONNECT 10: bad-frame");
  EXPECT_EQ(after_event(frame({FrameType::kHaproxyDisconnect, kFin, 1, 1})), "DISCONNECT 4: bad-frame");
  EXPECT_EQ(after_event(frame({FrameType::kHaproxyDisconnect, kFin, 0, 0})), "DISCONNECT 4: bad-frame");
  EXPECT_EQ(after_event(frame({FrameType::kHaproxyDisconnect, kFin, 0, 0}, from_hex("05"))),
            "DISCONNECT 4: truncated");
}

TEST_F(FramingTest, TheLargestFrameIsTaken) {
  establish({}, 300);
  ByteVector messages;
  MessageWriter writer(messages);
  writer.message("m", 1);
  writer.argument("", Value::string(std::string(300 - 7 - 3 - 2 - 2, 'x')));
  EXPECT_THAT(reply(notify(1, 1, messages)), ElementsAre("ACK 1.1 2.ok=true"));
  messages.push_back(std::byte{0});
  EXPECT_THAT(reply(notify(1, 1, messages)), ElementsAre("DISCONNECT 3"));
}

}  // namespace
}  // namespace stickmesh::spoe
