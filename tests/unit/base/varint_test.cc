#include "agent/base/varint.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace stickmesh {
namespace {

std::vector<std::byte> from_hex(const std::string& hex) {
  std::vector<std::byte> bytes;
  for (std::size_t at = 0; at < hex.size(); at += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoul(hex.substr(at, 2), nullptr, 16)));
  }
  return bytes;
}

struct Vector {
  std::uint64_t value;
  const char* hex;
};

// peers-protocol 1.2 and spop 2.2: what real HAProxy sends for these numbers.
constexpr Vector kVectors[] = {
    {0, "00"},
    {239, "ef"},
    {240, "f000"},
    {255, "ff00"},
    {511, "ff10"},
    {2287, "ff7f"},
    {2288, "f08000"},
    {4660, "f49401"},
    {30000, "f0c40d"},
    {60000, "f0971c"},
    {264431, "ffff7f"},
    {264432, "f0808000"},
    {600000, "f0eda301"},
    {33818863, "ffffff7f"},
    {33818864, "f080808000"},
    {2147483647, "fff0fefe3e"},
    {2147483648, "f0f1fefe3e"},
    {4294967295, "fff0fefe7e"},
    {4294967296, "f0f1fefe7e"},
    {4328786159, "ffffffff7f"},
    {4328786160, "f08080808000"},
    {1ULL << 53U, "f0f1fefefefefe7e"},
    {(1ULL << 63U) - 1, "fff0fefefefefefefe06"},
    {1ULL << 63U, "f0f1fefefefefefefe06"},
    {~0ULL, "fff0fefefefefefefe0e"},
};

TEST(VarintTest, EncodesAndDecodesHAProxysVectors) {
  for (const Vector& vector : kVectors) {
    const std::vector<std::byte> expected = from_hex(vector.hex);
    std::byte out[kMaxVarintSize];
    const std::size_t size = static_cast<std::size_t>(encode_varint(vector.value, out) - out);
    EXPECT_EQ(std::vector<std::byte>(out, out + size), expected) << vector.value;
    EXPECT_EQ(varint_size(vector.value), expected.size());
    const std::byte* at = expected.data();
    std::uint64_t value = 0;
    ASSERT_EQ(decode_varint(at, expected.data() + expected.size(), value), VarintStatus::kOk) << vector.value;
    EXPECT_EQ(value, vector.value);
    EXPECT_EQ(at, expected.data() + expected.size());
  }
}

TEST(VarintTest, EveryTruncationIsToldApartAndLeavesThePositionAlone) {
  for (const Vector& vector : kVectors) {
    const std::vector<std::byte> whole = from_hex(vector.hex);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const std::byte* at = whole.data();
      std::uint64_t value = 77;
      EXPECT_EQ(decode_varint(at, whole.data() + size, value), VarintStatus::kTruncated);
      EXPECT_EQ(at, whole.data());
      EXPECT_EQ(value, 77U);
    }
  }
}

TEST(VarintTest, RefusesWhatDoesNotFit64Bits) {
  for (const char* hex : {"fff0fefefefefefefe10", "fff0fefefefefefefe0f", "f0f1fefefefefefefe0e",
                          "ffffffffffffffffffff", "ffffffffffffffffffffffffff"}) {
    const std::vector<std::byte> bytes = from_hex(hex);
    const std::byte* at = bytes.data();
    std::uint64_t value = 0;
    EXPECT_EQ(decode_varint(at, bytes.data() + bytes.size(), value), VarintStatus::kOverflow) << hex;
  }
}

}  // namespace
}  // namespace stickmesh
