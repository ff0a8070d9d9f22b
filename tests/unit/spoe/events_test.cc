#include <stdexcept>

#include "tests/unit/spoe/session_fixture.h"

namespace stickmesh::spoe {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class EventsTest : public SpoeSessionTest {};

TEST_F(EventsTest, TheFirstStreamOfAProcessIsOneAsAnyOther) {
  establish();
  EXPECT_THAT(reply(notify(0, 1)), ElementsAre("ACK 0.1 2.ok=true"));
}

TEST_F(EventsTest, TheHandlerSeesTheMessagesAndItsVariablesAreSent) {
  establish();
  handler.on_notified = [](MessageReader, Answer& answer) -> Result<void> {
    EXPECT_TRUE(answer.set(Scope::kTransaction, "http_req_rate", Value::int64(7)));
    EXPECT_TRUE(answer.set(Scope::kSession, "who", Value::string("joe")));
    EXPECT_TRUE(answer.unset(Scope::kRequest, "reason"));
    return {};
  };
  EXPECT_THAT(reply(notify(4711, 2)),
              ElementsAre("ACK 4711.2 2.ok=true 2.http_req_rate=7 1.who=\"joe\" 3.reason unset"));
  EXPECT_THAT(handler.take_calls(), ElementsAre("event track(key=\"joe\",http_req_rate=1,=null)"));
  EXPECT_EQ(session->counters().events, 1U);
  EXPECT_EQ(session->counters().answered, 1U);
}

TEST_F(EventsTest, AHandlerThatSetsNothingStillAnswers) {
  establish();
  EXPECT_THAT(reply(notify()), ElementsAre("ACK 1.1 2.ok=true"));
}

TEST_F(EventsTest, AnEventWithoutMessagesIsAnswered) {
  establish();
  EXPECT_THAT(reply(frame({FrameType::kNotify, kFin, 1, 1})), ElementsAre("ACK 1.1 2.ok=true"));
  EXPECT_THAT(handler.calls, ElementsAre("event"));
}

TEST_F(EventsTest, AnErrorOfTheHandlerTakesItsVariablesBack) {
  establish();
  handler.on_notified = [](MessageReader, Answer& answer) -> Result<void> {
    answer.set(Scope::kTransaction, "verdict", Value::string("deny"));
    return refuse(Reason::kBadKey);
  };
  EXPECT_THAT(reply(notify()), ElementsAre("ACK 1.1 2.ok=false"));
  handler.on_notified = [](MessageReader, Answer& answer) -> Result<void> {
    answer.set(Scope::kTransaction, "verdict", Value::string("deny"));
    throw std::runtime_error("thrown by a library");
  };
  EXPECT_THAT(reply(notify(2)), ElementsAre("ACK 2.1 2.ok=false"));
  EXPECT_EQ(session->counters().failed, 2U);
  EXPECT_EQ(session->state(), State::kRunning);
}

TEST_F(EventsTest, AnAnswerIsCutAtTheNegotiatedSize) {
  establish({}, 256);
  handler.on_notified = [](MessageReader, Answer& answer) -> Result<void> {
    for (const char* name : {"a", "b", "c"}) {
      answer.set(Scope::kTransaction, name, Value::string(std::string(110, 'x')));
    }
    return {};
  };
  receive(notify(~0ULL, ~0ULL));
  EXPECT_LE(session->pending().size(), 260U);
  EXPECT_THAT(drain(), ElementsAre("ACK 18446744073709551615.18446744073709551615 2.ok=true 2.a=\"" +
                                   std::string(110, 'x') + "\""));
  EXPECT_EQ(session->counters().actions_left_out, 2U);
  // An error finds room however full the frame was.
  handler.on_notified = [](MessageReader, Answer& answer) -> Result<void> {
    while (answer.set(Scope::kTransaction, "a", Value::string(std::string(10, 'x')))) {
    }
    return refuse(Reason::kNoMemory);
  };
  EXPECT_THAT(reply(notify()), ElementsAre("ACK 1.1 2.ok=false"));
}

TEST_F(EventsTest, EveryTruncationOfAnEventIsAnsweredAndChangesNothing) {
  Options options;
  options.max_malformed = 1000;
  establish(options);
  const ByteVector whole = payload() + payload("set");
  std::uint64_t malformed = 0;
  for (std::size_t size = 1; size < whole.size(); ++size) {
    if (size == payload().size()) continue;
    EXPECT_THAT(reply(notify(size, 1, Bytes(whole).first(size))),
                ElementsAre(fmt::format("ACK {}.1 2.ok=false", size)));
    const auto calls = handler.take_calls();
    ASSERT_THAT(calls, SizeIs(1));
    EXPECT_THAT(calls[0], ::testing::StartsWith("refused 1 "));
    ++malformed;
  }
  EXPECT_EQ(session->counters().malformed, malformed);
  EXPECT_THAT(reply(notify()), ElementsAre("ACK 1.1 2.ok=true"));
}

TEST_F(EventsTest, MalformedPayloadsAreAnsweredFalse) {
  establish();
  for (const char* hex : {"01 61 01 01 62 0a", "01 61 01 01 62 0f 00", "01 61 ff 01 62 00",
                          "01 61 01 01 62 04 ffffffffffffffffffffff", "01 61 01 01 62 07 00",
                          "01 61 01 01 62 08 05 61", "fff0fefefefefefefe0e 61"}) {
    EXPECT_THAT(reply(notify(9, 1, from_hex(hex))), ElementsAre("ACK 9.1 2.ok=false")) << hex;
  }
  EXPECT_THAT(reply(notify(9, 1, payload() + from_hex("ff"))), ElementsAre("ACK 9.1 2.ok=false"));
  EXPECT_EQ(session->counters().malformed, 8U);
  EXPECT_EQ(session->state(), State::kRunning);
}

TEST_F(EventsTest, TooManyMalformedOnesPerMinuteEndTheConnection) {
  Options options;
  options.max_malformed = 3;
  establish(options);
  const ByteVector bad = notify(1, 1, from_hex("05"));
  reply(bad + bad + bad);
  now += Duration(59'999);
  EXPECT_EQ(session->state(), State::kRunning);
  now += Duration(1);
  reply(bad + bad + bad);
  EXPECT_EQ(session->state(), State::kRunning);
  EXPECT_THAT(reply(bad + notify(2)), ElementsAre("ACK 1.1 2.ok=false", "DISCONNECT 4"));
  EXPECT_EQ(ended(), Reason::kBadMessage);
}

TEST_F(EventsTest, AHundredInOneReadAreAnsweredInOneWrite) {
  establish();
  ByteVector bytes;
  std::vector<std::string> expected;
  for (std::uint64_t id = 1; id <= 100; ++id) {
    bytes = bytes + notify(id);
    expected.push_back(fmt::format("ACK {}.1 2.ok=true", id));
  }
  receive(bytes);
  EXPECT_EQ(drain(), expected);
  EXPECT_TRUE(session->pending().empty());
}

TEST_F(EventsTest, IdsAreEchoedExactlyAndMayRepeat) {
  establish();
  EXPECT_THAT(reply(notify(1ULL << 63U) + notify(1ULL << 63U)),
              ElementsAre("ACK 9223372036854775808.1 2.ok=true", "ACK 9223372036854775808.1 2.ok=true"));
}

TEST_F(EventsTest, NoMemoryIsKeptForIds) {
  establish();
  for (std::uint64_t id = 1; id <= 100'000; ++id) {
    receive(notify(id));
    session->sent(session->pending().size(), now);
    handler.calls.clear();
  }
  EXPECT_EQ(session->export_state()->input.size(), 0U);
  EXPECT_EQ(session->counters().events, 100'000U);
}

TEST_F(EventsTest, AConversationMayBeSplitAnywhere) {
  const ByteVector bytes = haproxy_hello() + notify(1) + frame({static_cast<FrameType>(50), 0, 0, 0}) +
                           notify(2, 1, from_hex("05")) + notify(3) + haproxy_disconnect(Status::kTimeout);
  const std::vector<std::string> expected = {"HELLO 16380 pipelining fragmentation", "ACK 1.1 2.ok=true",
                                             "ACK 2.1 2.ok=false", "ACK 3.1 2.ok=true", "DISCONNECT 0"};
  for (std::size_t first = 0; first <= bytes.size(); ++first) {
    for (std::size_t second = first; second <= bytes.size(); ++second) {
      start();
      receive(Bytes(bytes).first(first));
      receive(Bytes(bytes).subspan(first, second - first));
      receive(Bytes(bytes).subspan(second));
      ASSERT_EQ(drain(), expected) << first << " " << second;
      handler.calls.clear();
    }
  }
  start();
  for (const std::byte byte : bytes) receive({&byte, 1});
  EXPECT_EQ(drain(), expected);
}

}  // namespace
}  // namespace stickmesh::spoe
