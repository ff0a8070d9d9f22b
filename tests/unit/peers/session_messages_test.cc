#include "tests/unit/peers/session_fixture.h"

namespace stickmesh::peers {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SessionMessagesTest : public SessionTest {};

TEST_F(SessionMessagesTest, ALaterVersionsMessagesAreSkippedButCounted) {
  establish();
  receive_all(
      {"05 07", "05 90 03 010203", "00 09", "00 ff 02 0102", "0a 05", "0a 90 01 00", "0a ff 00", "fe 80 00"});
  EXPECT_THAT(handler.calls, IsEmpty());
  EXPECT_EQ(drain(), "");
  EXPECT_EQ(session->traffic().messages_in, 8U);
}

TEST_F(SessionMessagesTest, AnErrorFromTheOtherSideEndsTheSessionWithoutAReply) {
  const std::pair<const char*, const char*> cases[] = {
      {"01 00", "protocol error"}, {"01 01", "too long"}, {"01 07", "7"}, {"01 80 00", "128"}};
  for (const auto& [hex, words] : cases) {
    establish();
    const auto result = receive(hex);
    ASSERT_FALSE(result) << hex;
    EXPECT_EQ(result.error().reason, Reason::kPeerReportedError);
    EXPECT_THAT(result.error().detail, HasSubstr(words));
    EXPECT_EQ(drain(), "");
  }
}

TEST_F(SessionMessagesTest, EveryProtocolErrorIsAnsweredAndEndsTheSession) {
  const std::pair<std::string, Reason> cases[] = {
      {"ff 00", Reason::kReservedClass},
      {"0a 80 f0f1fefe7e", Reason::kValueOutOfRange},
      {"0a 80 f080808080", Reason::kVarintOverflow},
      {"0a 82 03 01 00 02", Reason::kTruncated},
      {"0a 84 02 01 00", Reason::kTruncated},
      {"0a 83 00", Reason::kTruncated},
      {"0a 83 01 05", Reason::kUnknownTableId},
      {std::string(vectors::kSrcEntry), Reason::kUnknownTableId},
      {std::string(vectors::kDefineSrc) + "0a 80 05 00000001 0a", Reason::kTruncated},
      {std::string(vectors::kDefineT1) + "0a 80 09 00000001 0161 02 01 81", Reason::kBadDictionaryId},
      {std::string(vectors::kDefineT1) + "0a 80 08 00000001 21 6100 00", Reason::kBadKey},
  };
  for (const auto& [hex, reason] : cases) {
    establish();
    const auto result = receive(hex);
    ASSERT_FALSE(result) << hex;
    EXPECT_EQ(result.error().reason, reason) << hex << ": " << to_string(result.error());
    EXPECT_EQ(drain(), "0100") << hex;
    EXPECT_EQ(session->state(), State::kClosed);
    EXPECT_EQ(session->close_reason()->reason, reason);
  }
}

TEST_F(SessionMessagesTest, AMessageAboveTheLimitIsAnsweredWithItsOwnError) {
  Options options = accepting();
  options.max_message = 16384;
  establish(options);
  std::vector<std::byte> header;
  Writer writer(header);
  encode_table_header(TableType::kUpdate, 16385, writer);
  const auto result = session->receive(header, now);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, Reason::kMessageTooLong);
  EXPECT_EQ(drain(), "0101");
}

TEST_F(SessionMessagesTest, AMessageAtTheLimitIsTakenInAnyFragmentation) {
  Options options = accepting();
  options.max_message = 16384;
  establish(options);
  std::vector<std::byte> message;
  Writer writer(message);
  encode_table_header(static_cast<TableType>(0x90), 16384, writer);
  message.resize(message.size() + 16384);
  for (const std::byte& byte : message) ASSERT_TRUE(session->receive({&byte, 1}, now));
  EXPECT_EQ(session->traffic().messages_in, 1U);
  ASSERT_TRUE(session->receive(message, now));
  EXPECT_EQ(session->traffic().messages_in, 2U);
}

TEST_F(SessionMessagesTest, NothingIsTakenAfterTheEnd) {
  establish();
  EXPECT_EQ(refusal("ff 00 00 00"), Reason::kReservedClass);
  EXPECT_EQ(refusal("00 00"), Reason::kReservedClass);
  session->request_lesson(now);
  session->select(1, vectors::src_table());
  session->append_update(from_hex(vectors::kSrcEntry));
  session->close({Reason::kSystem, {}});
  EXPECT_EQ(session->close_reason()->reason, Reason::kReservedClass);
  EXPECT_EQ(drain(), "0100");
  EXPECT_THAT(handler.calls, IsEmpty());
  const auto expired = session->expire(now);
  ASSERT_FALSE(expired);
  EXPECT_EQ(expired.error().reason, Reason::kReservedClass);
}

TEST_F(SessionMessagesTest, TheHandlerMayCloseInTheMiddleOfABatch) {
  establish();
  handler.on_update = [this] { session->close({Reason::kDefinitionMismatch, "st_src"}); };
  const auto result = session->receive(
      joined({vectors::kDefineSrc, vectors::kSrcEntry, vectors::kSrcTimed, vectors::kResyncRequest}), now);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, Reason::kDefinitionMismatch);
  EXPECT_THAT(handler.calls, ElementsAre("table st_src", "live 1"));
  EXPECT_EQ(drain(), "");
}

TEST_F(SessionMessagesTest, AcksAreHandedOnWhateverTheirTable) {
  establish();
  receive_all({"0a 84 05 01 00000002", "0a 84 05 00 80000000", "0a 84 05 77 00000000"});
  EXPECT_THAT(handler.calls, ElementsAre("acked 1:2", "acked 0:2147483648", "acked 119:0"));
  EXPECT_EQ(session->traffic().acks_in, 3U);
}

TEST_F(SessionMessagesTest, CountsItsTraffic) {
  establish();
  receive_all({vectors::kHeartbeat, vectors::kDefineSrc, vectors::kSrcEntry, vectors::kResyncRequest});
  session->finish_lesson(/*complete=*/true, now);
  session->request_lesson(now);
  drain();
  receive_all({vectors::kFinished});
  const Traffic& traffic = session->traffic();
  EXPECT_EQ(traffic.messages_in, 5U);
  EXPECT_EQ(traffic.heartbeats_in, 1U);
  EXPECT_EQ(traffic.updates_in, 1U);
  EXPECT_EQ(traffic.acks_out, 1U);
  EXPECT_EQ(traffic.lessons_out, 1U);
  EXPECT_EQ(traffic.lessons_in, 1U);
  EXPECT_EQ(traffic.resyncs_in, 1U);
  EXPECT_EQ(traffic.resyncs_out, 1U);
  EXPECT_EQ(traffic.bytes_in, 30U + 2 + 22 + 19 + 2 + 2);
  EXPECT_EQ(traffic.bytes_out, 4U + 8 + 2 + 2);
  EXPECT_EQ(traffic.last_received, now);
}

TEST_F(SessionMessagesTest, TellsHowFarEachTableIs) {
  establish();
  receive_all({vectors::kDefineSrc});
  ASSERT_EQ(session->tables_taken().size(), 1U);
  EXPECT_EQ(session->tables_taken()[0].pushed, 0U);
  receive_all({vectors::kSrcEntry});
  session->request_lesson(now);
  receive_all({vectors::kSrcTimed, vectors::kFinished});
  const TableTaken table = session->tables_taken()[0];
  EXPECT_EQ(table.name, "st_src");
  EXPECT_TRUE(table.taken);
  EXPECT_EQ(table.pushed, 1U) << "2 is of the lesson";
  EXPECT_EQ(table.acknowledged, 1U) << "also after a lesson";
}

TEST_F(SessionMessagesTest, KeepsNothingPendingOnceTheConnectionIsGone) {
  establish();
  session->request_lesson(now);
  session->closed({Reason::kConnectionLost, {}}, now);
  EXPECT_EQ(session->state(), State::kClosed);
  EXPECT_TRUE(session->pending().empty());
}

}  // namespace
}  // namespace stickmesh::peers
