#include "agent/peers/wire/message.h"

#include <gtest/gtest.h>

#include "tests/unit/peers/hex.h"
#include "tests/unit/peers/vectors.h"

namespace stickmesh::peers {
namespace {

constexpr std::size_t kLimit = 131072;

Frame parse(const std::vector<std::byte>& bytes, std::size_t limit = kLimit) {
  return parse_frame(bytes, limit);
}

TEST(FrameTest, ControlMessagesAreTwoBytes) {
  const std::vector<std::byte> bytes = from_hex("00 04 00 01");
  const Frame frame = parse(bytes);
  ASSERT_EQ(frame.status, FrameStatus::kMessage);
  EXPECT_EQ(frame.size, 2U);
  EXPECT_EQ(frame.message.message_class, MessageClass::kControl);
  EXPECT_EQ(frame.message.type, 4);
  EXPECT_TRUE(frame.message.body.empty());
}

TEST(FrameTest, ABodyFollowsATypeWithItsHighestBitWhateverTheClass) {
  for (const char* hex : {"0a 84 05 01 00000002", "05 90 05 01 00000002", "00 ff 05 01 00000002"}) {
    const std::vector<std::byte> bytes = from_hex(hex);
    const Frame frame = parse(bytes);
    ASSERT_EQ(frame.status, FrameStatus::kMessage) << hex;
    EXPECT_EQ(frame.size, bytes.size());
    EXPECT_EQ(to_hex(frame.message.body), "0100000002");
  }
}

TEST(FrameTest, EveryTruncationWaitsForMoreAndNeverForTooMuch) {
  for (const std::string_view hex : {vectors::kDefineSrc, vectors::kSrcEntry, vectors::kSrcTimed,
                                     vectors::kAck, vectors::kHeartbeat, vectors::kArrEntry}) {
    const std::vector<std::byte> whole = from_hex(hex);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const Frame frame = parse_frame(Bytes(whole).first(size), kLimit);
      ASSERT_EQ(frame.status, FrameStatus::kNeedMore) << hex << " cut to " << size;
      EXPECT_GT(frame.size, size);
      EXPECT_LE(frame.size, whole.size());
    }
  }
}

TEST(FrameTest, AnEmptyBodyIsAMessage) {
  const std::vector<std::byte> bytes = from_hex("0a 83 00");
  const Frame frame = parse(bytes);
  EXPECT_EQ(frame.status, FrameStatus::kMessage);
  EXPECT_EQ(frame.size, 3U);
}

TEST(FrameTest, TheLimitIsOfTheBodyAndKnownFromTheHeader) {
  std::vector<std::byte> bytes;
  Writer writer(bytes);
  encode_table_header(TableType::kUpdate, 16384, writer);
  Frame frame = parse(bytes, 16384);
  EXPECT_EQ(frame.status, FrameStatus::kNeedMore);
  EXPECT_EQ(frame.size, bytes.size() + 16384);
  frame = parse(bytes, 16383);
  EXPECT_EQ(frame.status, FrameStatus::kRefused);
  EXPECT_EQ(frame.reason, Reason::kMessageTooLong);
  EXPECT_EQ(parse(from_hex("0a 80 00"), 0).status, FrameStatus::kMessage);
}

TEST(FrameTest, ALengthHasFiveBytesAnd32Bits) {
  EXPECT_EQ(parse(from_hex("0a 80 fff0fefe7e")).reason, Reason::kMessageTooLong);   // 2^32-1
  EXPECT_EQ(parse(from_hex("0a 80 f0f1fefe7e")).reason, Reason::kValueOutOfRange);  // 2^32
  EXPECT_EQ(parse(from_hex("0a 80 ffffffff7f")).reason, Reason::kValueOutOfRange);
  EXPECT_EQ(parse(from_hex("0a 80 f080808080")).status, FrameStatus::kRefused);
  EXPECT_EQ(parse(from_hex("0a 80 f080808080")).reason, Reason::kVarintOverflow);
  EXPECT_EQ(parse(from_hex("0a 80 f0808080")).status, FrameStatus::kNeedMore);
}

TEST(FrameTest, TheReservedClassIsRefused) {
  for (const char* hex : {"ff 00", "ff 80", "ff ff fff0fefe7e"}) {
    const Frame frame = parse(from_hex(hex));
    EXPECT_EQ(frame.status, FrameStatus::kRefused) << hex;
    EXPECT_EQ(frame.reason, Reason::kReservedClass) << hex;
  }
}

TEST(FrameTest, ControlAndErrorMessagesAreWrittenAsHAProxyWritesThem) {
  std::vector<std::byte> bytes;
  Writer writer(bytes);
  for (const ControlType type :
       {ControlType::kResyncRequest, ControlType::kResyncFinished, ControlType::kResyncPartial,
        ControlType::kResyncConfirm, ControlType::kHeartbeat}) {
    encode_control(type, writer);
  }
  encode_error(ErrorType::kProtocol, writer);
  encode_error(ErrorType::kSizeLimit, writer);
  EXPECT_EQ(to_hex(bytes), plain("0000 0001 0002 0003 0004 0100 0101"));
}

}  // namespace
}  // namespace stickmesh::peers
