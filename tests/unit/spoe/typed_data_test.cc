#include "spoe/wire/typed_data.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "tests/unit/spoe/conversation.h"

namespace stickmesh::spoe {
namespace {

std::string encoded(const Value& value) {
  ByteVector room(max_value_size(value));
  const std::byte* end = encode_value(value, room.data());
  return to_hex({room.data(), static_cast<std::size_t>(end - room.data())});
}

Value read(Bytes bytes) {
  Reader reader(bytes);
  const Value value = read_value(reader);
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(reader.remaining(), 0U);
  return value;
}

Reason failure(Bytes bytes) {
  Reader reader(bytes);
  read_value(reader);
  return reader.ok() ? Reason::kCount : reader.failure();
}

TEST(TypedDataTest, NumbersAreHAProxysVectors) {
  const std::pair<std::uint64_t, const char*> vectors[] = {
      {0, "00"},
      {1, "01"},
      {239, "ef"},
      {240, "f000"},
      {241, "f100"},
      {255, "ff00"},
      {256, "f001"},
      {2287, "ff7f"},
      {2288, "f08000"},
      {2289, "f18000"},
      {16380, "fcf006"},
      {65535, "fff01e"},
      {264431, "ffff7f"},
      {264432, "f0808000"},
      {33818863, "ffffff7f"},
      {33818864, "f080808000"},
      {2147483647, "fff0fefe3e"},
      {4294967295, "fff0fefe7e"},
      {4328786159, "ffffffff7f"},
      {4328786160, "f08080808000"},
      {std::numeric_limits<std::int64_t>::max(), "fff0fefefefefefefe06"},
      {std::numeric_limits<std::uint64_t>::max(), "fff0fefefefefefefe0e"},
      {static_cast<std::uint64_t>(-5), "fbf0fefefefefefefe0e"},
  };
  for (const auto& [number, hex] : vectors) {
    const Value value = Value::int64(static_cast<std::int64_t>(number));
    EXPECT_EQ(encoded(value), std::string("04") + hex);
    EXPECT_EQ(read(from_hex(std::string("04") + hex)), value);
  }
  EXPECT_EQ(read(from_hex("04fbf0fefefefefefefe0e")).signed_number(), -5);
}

TEST(TypedDataTest, EachTypeReadsBack) {
  const std::array<std::byte, 4> address{std::byte{10}, std::byte{0}, std::byte{0}, std::byte{1}};
  const std::array<std::byte, 16> address6{std::byte{0x20}, std::byte{0x01}};
  const ByteVector raw = from_hex("00ff");
  const std::pair<Value, std::string> values[] = {
      {Value::null(), "00"},
      {Value::boolean(true), "11"},
      {Value::boolean(false), "01"},
      {{DataType::kInt32, 7, {}}, "0207"},
      {Value::uint32(16380), "03fcf006"},
      {Value::int64(1), "0401"},
      {{DataType::kUint64, 240, {}}, "05f000"},
      {Value::ipv4(address), "060a000001"},
      {Value::ipv6(address6), "0720010000000000000000000000000000"},
      {Value::string("2.0"), "0803322e30"},
      {Value::string(""), "0800"},
      {Value::binary(raw), "090200ff"},
  };
  for (const auto& [value, hex] : values) {
    EXPECT_EQ(encoded(value), hex);
    const ByteVector bytes = from_hex(hex);
    const Value back = read(bytes);
    EXPECT_EQ(back.type, value.type);
    EXPECT_EQ(encoded(back), hex);
    ByteVector written;
    Writer writer(written);
    write_value(back, writer);
    EXPECT_EQ(to_hex(written), hex);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_EQ(failure(Bytes(bytes).first(size)), Reason::kTruncated) << hex;
    }
  }
}

TEST(TypedDataTest, FlagsOfOtherTypesAreIgnored) {
  EXPECT_EQ(read(from_hex("e1")), Value::boolean(false));
  EXPECT_EQ(read(from_hex("f1")), Value::boolean(true));
  EXPECT_EQ(read(from_hex("180161")), Value::string("a"));
  EXPECT_EQ(read(from_hex("f0")), Value::null());
}

TEST(TypedDataTest, AReservedTypeCannotBeSkipped) {
  for (const char* hex : {"0a00", "0b00", "0c00", "0d00", "0e00", "0f00", "1a"}) {
    EXPECT_EQ(failure(from_hex(hex)), Reason::kBadMessage) << hex;
  }
}

TEST(TypedDataTest, ALengthIsHeldAgainstWhatIsThere) {
  EXPECT_EQ(failure(from_hex("0803 6162")), Reason::kTruncated);
  EXPECT_EQ(failure(from_hex("08 fff0fefefefefefefe0e 61")), Reason::kTruncated);
  EXPECT_EQ(failure(from_hex("08 fff0fefefefefefefe0f 61")), Reason::kVarintOverflow);
  EXPECT_EQ(failure(from_hex("04 ffffffffffffffffffffffff00")), Reason::kVarintOverflow);
  EXPECT_EQ(failure(from_hex("07 000000000000000000000000000000")), Reason::kTruncated);
}

}  // namespace
}  // namespace stickmesh::spoe
