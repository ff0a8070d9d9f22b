#include "spoe/wire/buffer.h"

#include <gtest/gtest.h>

#include <string>

namespace stickmesh::spoe {
namespace {

TEST(BufferTest, BytesStayInOrderHoweverTheyAreTaken) {
  Buffer buffer;
  std::string expected, seen;
  const auto take = [&](std::size_t size) {
    seen += as_text(buffer.pending().first(size));
    buffer.consume(size);
  };
  for (std::size_t round = 0; round < 2000; ++round) {
    const std::string piece = std::to_string(round) + std::string(round % 97, '.');
    buffer.append(as_bytes(piece));
    expected += piece;
    if (round % 3 == 0) take(std::min(buffer.size(), round % 301));
    if (round % 500 == 0) take(buffer.size());
  }
  take(buffer.size());
  EXPECT_EQ(seen, expected);
  EXPECT_TRUE(buffer.empty());
}

TEST(BufferTest, TakesBackAndPatches) {
  Buffer buffer;
  EXPECT_TRUE(buffer.pending().empty());
  buffer.append(as_bytes("0123456789"));
  buffer.consume(2);
  *buffer.at(1) = std::byte{'x'};
  buffer.truncate(4);
  EXPECT_EQ(as_text(buffer.pending()), "2x45");
  buffer.consume(100);
  EXPECT_TRUE(buffer.empty());
}

}  // namespace
}  // namespace stickmesh::spoe
