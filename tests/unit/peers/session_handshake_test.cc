#include "tests/unit/peers/session_fixture.h"

namespace stickmesh::peers {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AcceptingTest : public SessionTest {};
class DiallingTest : public SessionTest {};

TEST_F(AcceptingTest, AnswersAGoodHelloWith200) {
  start(accepting());
  EXPECT_EQ(session->state(), State::kHandshake);
  EXPECT_TRUE(session->pending().empty());
  ASSERT_TRUE(session->receive(as_bytes("HAProxyS 2.1\nagent\nlb1 4711 1\n"), now));
  EXPECT_EQ(drain_text(), "200\n");
  EXPECT_EQ(session->state(), State::kRunning);
  EXPECT_EQ(session->hello(), (Hello{1, "agent", "lb1", 4711}));
  EXPECT_THAT(handler.calls, ElementsAre("admit lb1>agent pid 4711 2.1", "established"));
}

TEST_F(AcceptingTest, TakesTheHelloByteByByte) {
  start(accepting());
  for (const char character : std::string_view("HAProxyS 2.0\r\nagent\r\nlb1 4711 1\r\n")) {
    EXPECT_EQ(session->state(), State::kHandshake);
    ASSERT_TRUE(session->receive(as_bytes({&character, 1}), now));
  }
  EXPECT_EQ(session->state(), State::kRunning);
  EXPECT_EQ(session->hello().minor, 0U);
}

TEST_F(AcceptingTest, BytesBehindTheHelloAreMessages) {
  start(accepting());
  std::vector<std::byte> bytes;
  Writer writer(bytes);
  writer.bytes(as_bytes("HAProxyS 2.1\nagent\nlb1 1 1\n"));
  writer.bytes(joined({vectors::kResyncRequest, vectors::kDefineSrc, vectors::kSrcEntry}));
  ASSERT_TRUE(session->receive(bytes, now));
  EXPECT_THAT(handler.calls, ElementsAre("admit lb1>agent pid 1 2.1", "established", "lesson requested",
                                         "table st_src", "live 1"));
}

TEST_F(AcceptingTest, ClosesWithoutAStatusWhenThePeerIsNotAdmitted) {
  start(accepting());
  handler.refusal = Error{Reason::kUnknownPeer, "lb9"};
  const auto result = session->receive(as_bytes("HAProxyS 2.1\nagent\nlb9 1 1\n"), now);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, Reason::kUnknownPeer);
  EXPECT_TRUE(session->pending().empty());
  EXPECT_EQ(session->state(), State::kClosed);
  ASSERT_TRUE(session->close_reason());
  EXPECT_EQ(session->close_reason()->reason, Reason::kUnknownPeer);
  EXPECT_FALSE(session->wants_input());
  EXPECT_FALSE(session->deadline());
}

TEST_F(AcceptingTest, ClosesWithoutAStatusOnEveryBadHello) {
  const std::pair<const char*, Reason> cases[] = {{"GET / HTTP/1.1\n", Reason::kBadHello},
                                                  {"HAProxyS 2.2\n", Reason::kBadVersion},
                                                  {"HAProxyS 2.1\nother\nlb1 1 1\n", Reason::kWrongPeerName},
                                                  {"HAProxyS 2.1\nagent\nlb1\n", Reason::kBadHello},
                                                  {"\x16\x03\x01", Reason::kUnexpectedTls}};
  for (const auto& [hello, reason] : cases) {
    start(accepting());
    const auto result = session->receive(as_bytes(hello), now);
    ASSERT_FALSE(result) << hello;
    EXPECT_EQ(result.error().reason, reason) << hello;
    EXPECT_TRUE(session->pending().empty());
  }
  EXPECT_THAT(handler.calls, IsEmpty());
}

TEST_F(AcceptingTest, LeavesTheNameToTheHandlerWhenItHasNone) {
  start({});
  EXPECT_TRUE(session->receive(as_bytes("HAProxyS 2.1\nwhoever\nlb1 1 1\n"), now));
}

TEST_F(AcceptingTest, DoesNotCollectAnEndlessHello) {
  start(accepting());
  const std::string junk(100'000, 'x');
  const auto result = session->receive(as_bytes(junk), now);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, Reason::kBadHello);
}

TEST_F(AcceptingTest, TheHandlerMayCloseWhileItAdmits) {
  start(accepting());
  handler.on_admit = [this] { session->close({Reason::kReplacedSession, {}}); };
  const auto result = session->receive(as_bytes("HAProxyS 2.1\nagent\nlb1 1 1\n"), now);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, Reason::kReplacedSession);
  EXPECT_TRUE(session->pending().empty());
  EXPECT_THAT(handler.calls, ElementsAre("admit lb1>agent pid 1 2.1"));
}

TEST_F(DiallingTest, SendsItsHelloAtOnceAndInOnePiece) {
  start(dialling());
  EXPECT_EQ(drain_text(), "HAProxyS 2.1\nlb1\nagent 99 1\n");
  ASSERT_TRUE(session->receive(as_bytes("200\n"), now));
  EXPECT_EQ(session->state(), State::kRunning);
  EXPECT_EQ(session->status(), 200);
  EXPECT_EQ(session->hello(), (Hello{1, "agent", "lb1", 0}));
  EXPECT_THAT(handler.calls, ElementsAre("established"));
}

TEST_F(DiallingTest, MessagesMayFollowTheStatusAtOnce) {
  start(dialling());
  drain();
  std::vector<std::byte> bytes = joined({"3230300a", vectors::kResyncRequest});
  for (const std::byte& byte : bytes) ASSERT_TRUE(session->receive({&byte, 1}, now));
  EXPECT_THAT(handler.calls, ElementsAre("established", "lesson requested"));
}

TEST_F(DiallingTest, EveryOtherStatusEndsTheSessionAndSaysWhatToDo) {
  for (const int status : {0, 300, 501, 502, 503, 504, 777}) {
    start(dialling());
    drain();
    const auto result = session->receive(as_bytes(encode_status(status)), now);
    ASSERT_FALSE(result) << status;
    EXPECT_EQ(result.error().reason, Reason::kRefusedByPeer);
    EXPECT_THAT(result.error().detail, HasSubstr(std::to_string(status)));
    EXPECT_THAT(result.error().detail, HasSubstr(std::string(describe_status(status))));
    EXPECT_EQ(session->status(), status);
    EXPECT_TRUE(session->pending().empty());
  }
  EXPECT_THAT(handler.calls, IsEmpty());
}

TEST_F(DiallingTest, AnAnswerThatIsNoStatusIsABadHello) {
  start(dialling());
  drain();
  const auto result = session->receive(as_bytes("HTTP/1.1 400 Bad request\r\n"), now);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, Reason::kBadHello);
  EXPECT_EQ(session->status(), 0);
}

TEST_F(DiallingTest, AnAlertOfTlsSaysThatTheOtherSideSpeaksIt) {
  start(dialling());
  const auto result = session->receive(as_bytes("\x15\x03\x01"), now);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, Reason::kUnexpectedTls);
}

TEST_F(DiallingTest, OffersTheVersionItIsTold) {
  Options options = dialling();
  options.minor = 0;
  start(options);
  EXPECT_EQ(drain_text().substr(0, 13), "HAProxyS 2.0\n");
}

TEST_F(DiallingTest, NothingIsSentBeforeTheStatus) {
  start(dialling());
  drain();
  session->request_lesson(now);
  session->select(1, vectors::src_table());
  session->append_update(from_hex(vectors::kSrcEntry));
  session->finish_lesson(/*complete=*/true, now);
  session->nudge(now);
  EXPECT_TRUE(session->pending().empty());
  EXPECT_FALSE(session->learning());
  EXPECT_EQ(wakeups, 0);
}

}  // namespace
}  // namespace stickmesh::peers
