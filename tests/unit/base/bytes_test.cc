#include "agent/base/bytes.h"

#include <gtest/gtest.h>

namespace stickmesh {
namespace {

TEST(ReaderTest, ReadsBackWhatTheWriterWrote) {
  std::vector<std::byte> buffer;
  Writer writer(buffer);
  writer.u8(7);
  writer.u32be(0x01020304);
  writer.varint(300);
  writer.bytes(as_bytes("key"));
  Reader reader(buffer);
  EXPECT_EQ(reader.u8(), 7);
  EXPECT_EQ(reader.u32be(), 0x01020304U);
  EXPECT_EQ(reader.varint(), 300U);
  EXPECT_EQ(as_text(reader.bytes(3)), "key");
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(reader.remaining(), 0U);
}

TEST(ReaderTest, TheFirstFailureSticks) {
  Reader reader(as_bytes("\x05"));
  reader.varint_up_to(4);
  EXPECT_FALSE(reader.ok());
  reader.u32be();
  EXPECT_EQ(reader.failure(), Reason::kValueOutOfRange);
  EXPECT_EQ(reader.remaining(), 0U);
}

TEST(ReaderTest, ALengthBeyondTheEndIsTruncationWhateverItsSize) {
  for (const std::uint64_t size : {std::uint64_t{4}, std::uint64_t{1} << 32U, ~std::uint64_t{0}}) {
    Reader reader(as_bytes("abc"));
    EXPECT_TRUE(reader.bytes(size).empty());
    EXPECT_EQ(reader.failure(), Reason::kTruncated);
  }
}

}  // namespace
}  // namespace stickmesh
