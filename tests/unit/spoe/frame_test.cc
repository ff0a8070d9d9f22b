#include "spoe/wire/frame.h"

#include <gtest/gtest.h>

#include "tests/unit/spoe/conversation.h"

namespace stickmesh::spoe {
namespace {

TEST(FrameTest, IsReadBackWithAnyIds) {
  for (const std::uint64_t stream : {0ULL, 1ULL, 239ULL, 240ULL, 1ULL << 63U, ~0ULL}) {
    for (const std::uint64_t id : {1ULL, 2288ULL, ~0ULL}) {
      const FrameHeader header{FrameType::kNotify, kFin, stream, id};
      const ByteVector bytes = frame(header, as_bytes("payload"));
      const Frame read = parse_frame(bytes, 256);
      ASSERT_EQ(read.status, FrameStatus::kFrame);
      EXPECT_EQ(read.header, header);
      EXPECT_EQ(as_text(read.payload), "payload");
      EXPECT_EQ(read.size, bytes.size());
    }
  }
}

TEST(FrameTest, SaysHowMuchIsMissing) {
  const ByteVector bytes = notify();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const Frame read = parse_frame(Bytes(bytes).first(size), 256);
    EXPECT_EQ(read.status, FrameStatus::kNeedMore);
    EXPECT_EQ(read.size, size < 4 ? 4 : bytes.size());
  }
}

TEST(FrameTest, ALengthThatCannotBeIsRefusedAtOnce) {
  for (const char* hex : {"00000000", "00000001", "00000006"}) {
    EXPECT_EQ(parse_frame(from_hex(hex), 256).status, FrameStatus::kInvalid) << hex;
  }
  for (const char* hex : {"00000101", "7fffffff", "ffffffff"}) {
    EXPECT_EQ(parse_frame(from_hex(hex), 256).status, FrameStatus::kTooLong) << hex;
  }
  EXPECT_EQ(parse_frame(from_hex("00000100"), 256).status, FrameStatus::kNeedMore);
}

TEST(FrameTest, AHeaderThatDoesNotFitItsLengthIsInvalid) {
  EXPECT_EQ(parse_frame(from_hex("00000007 03 00000001 f0 80"), 256).status, FrameStatus::kInvalid);
  EXPECT_EQ(parse_frame(from_hex("00000007 03 00000001 01 f0 00"), 256).status, FrameStatus::kInvalid);
  EXPECT_EQ(parse_frame(from_hex("00000011 03 00000001 f0ffffffffffffffffffff 01"), 256).status,
            FrameStatus::kInvalid);
}

TEST(FrameTest, ReservedFlagsAreIgnored) {
  const Frame read = parse_frame(from_hex("00000007 03 fffffffd 01 01"), 256);
  ASSERT_EQ(read.status, FrameStatus::kFrame);
  EXPECT_TRUE(read.header.fin());
  EXPECT_FALSE(read.header.aborts());
}

}  // namespace
}  // namespace stickmesh::spoe
