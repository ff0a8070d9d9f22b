#include "spoe/events/key_conversion.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "tests/unit/peers/hex.h"

namespace stickmesh::spoe {
namespace {

constexpr std::array<std::byte, 4> kIpv4 = {std::byte{192}, std::byte{0}, std::byte{2}, std::byte{7}};

std::array<std::byte, 16> ipv6(std::initializer_list<int> first, std::initializer_list<int> last) {
  std::array<std::byte, 16> address{};
  std::size_t at = 0;
  for (const int byte : first) address[at++] = static_cast<std::byte>(byte);
  at = 16 - last.size();
  for (const int byte : last) address[at++] = static_cast<std::byte>(byte);
  return address;
}

/// The key in hexadecimal, or why there is none.
std::string key(KeyType type, std::uint32_t size, const Value& value) {
  TableDefinition definition;
  definition.key_type = type;
  definition.key_size = size;
  std::vector<std::byte> out;
  const std::string_view why = append_key(definition, value, out);
  if (why.empty()) return peers::to_hex(out);
  EXPECT_TRUE(out.empty());
  return std::string(why);
}

std::string string_key(const Value& value, std::uint32_t size = 33) {
  TableDefinition definition;
  definition.key_size = size;
  std::vector<std::byte> out;
  EXPECT_EQ(append_key(definition, value, out), "");
  return std::string(as_text(out));
}

TEST(KeyConversionTest, StringsAreCutToTheTablesLengthAndAtTheFirstNul) {
  EXPECT_EQ(string_key(Value::string("joe")), "joe");
  EXPECT_EQ(string_key(Value::string("")), "");
  EXPECT_EQ(string_key(Value::string("abcdef"), 5), "abcd");
  EXPECT_EQ(string_key(Value::string(std::string_view("ab\0cd", 5))), "ab");
  EXPECT_EQ(string_key(Value::binary(as_bytes(std::string_view("ab\0cd", 5)))), "ab");
}

TEST(KeyConversionTest, EverythingHasAString) {
  EXPECT_EQ(string_key(Value::int64(-5)), "-5");
  EXPECT_EQ(string_key(Value::int64(std::numeric_limits<std::int64_t>::min())), "-9223372036854775808");
  EXPECT_EQ(string_key(Value::boolean(true)), "1");
  EXPECT_EQ(string_key(Value::ipv4(kIpv4)), "192.0.2.7");
  EXPECT_EQ(string_key(Value::ipv6(ipv6({0x20, 0x01, 0x0d, 0xb8}, {1}))), "2001:db8::1");
  EXPECT_EQ(string_key(Value::ipv6(ipv6({}, {0xff, 0xff, 192, 0, 2, 7}))), "::ffff:192.0.2.7");
}

TEST(KeyConversionTest, Integers) {
  const auto integer = [](const Value& value) { return key(KeyType::kInteger, 4, value); };
  EXPECT_EQ(integer(Value::int64(258)), "00000102");
  EXPECT_EQ(integer(Value::int64(-1)), "ffffffff");
  EXPECT_EQ(integer(Value::int64(0x1'0000'0002)), "00000002");
  EXPECT_EQ(integer(Value::boolean(true)), "00000001");
  EXPECT_EQ(integer(Value::ipv4(kIpv4)), "c0000207");
  EXPECT_EQ(integer(Value::string("258 and more")), "00000102");
  EXPECT_EQ(integer(Value::string("-2")), "fffffffe");
  EXPECT_EQ(integer(Value::string("+7")), "00000007");
  EXPECT_EQ(integer(Value::string("none")), "00000000");
  EXPECT_EQ(integer(Value::string("99999999999999999999")), "ffffffff");
  EXPECT_EQ(integer(Value::string("-99999999999999999999")), "00000000");
  EXPECT_EQ(integer(Value::string("")), "no integer can be made of it");
  EXPECT_EQ(integer(Value::binary(kIpv4)), "no integer can be made of it");
  EXPECT_EQ(integer(Value::ipv6(ipv6({}, {1}))), "no integer can be made of it");
}

TEST(KeyConversionTest, Ipv4) {
  const auto address = [](const Value& value) { return key(KeyType::kIpv4, 4, value); };
  EXPECT_EQ(address(Value::ipv4(kIpv4)), "c0000207");
  EXPECT_EQ(address(Value::int64(0xc0000207)), "c0000207");
  EXPECT_EQ(address(Value::string("192.0.2.7")), "c0000207");
  EXPECT_EQ(address(Value::string("192.0.2.7, 10.0.0.1")), "c0000207") << "the first of a list";
  EXPECT_EQ(address(Value::string("192.000.2.07")), "c0000207");
  EXPECT_EQ(address(Value::ipv6(ipv6({}, {0xff, 0xff, 192, 0, 2, 7}))), "c0000207");
  EXPECT_EQ(address(Value::ipv6(ipv6({}, {192, 0, 2, 7}))), "c0000207");
  EXPECT_EQ(address(Value::ipv6(ipv6({0x20, 0x02, 192, 0, 2, 7}, {1}))), "c0000207");
  for (const char* text : {"", "192.0.2", "192.0.2.256", "192.0.2.7.1", "192.0.2.7.", ".192.0.2.7",
                           "192..2.7", "-1.0.2.7", " 192.0.2.7", "2001:db8::1", "joe"}) {
    EXPECT_EQ(address(Value::string(text)), "it is no IPv4 address") << text;
  }
  EXPECT_EQ(address(Value::ipv6(ipv6({0x20, 0x01}, {1}))), "it is no IPv4 address");
  EXPECT_EQ(address(Value::binary(kIpv4)), "it is no IPv4 address");
  EXPECT_EQ(address(Value::boolean(true)), "a boolean is no address");
}

TEST(KeyConversionTest, Ipv6) {
  const auto address = [](const Value& value) { return key(KeyType::kIpv6, 16, value); };
  const std::string mapped = "00000000000000000000ffffc0000207";
  EXPECT_EQ(address(Value::ipv4(kIpv4)), mapped);
  EXPECT_EQ(address(Value::int64(0xc0000207)), mapped);
  EXPECT_EQ(address(Value::string("::ffff:192.0.2.7")), mapped);
  EXPECT_EQ(address(Value::string("2001:db8::1")), "20010db8000000000000000000000001");
  EXPECT_EQ(address(Value::ipv6(ipv6({0x20, 0x01}, {1}))), "20010000000000000000000000000001");
  for (const char* text : {"", "192.0.2.7", "2001:db8::g", "joe",
                           "2001:0db8:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001"}) {
    EXPECT_EQ(address(Value::string(text)), "it is no IPv6 address") << text;
  }
  EXPECT_EQ(address(Value::binary(ipv6({}, {1}))), "it is no IPv6 address");
  EXPECT_EQ(address(Value::boolean(false)), "a boolean is no address");
}

TEST(KeyConversionTest, BinaryKeysHaveOneLength) {
  const auto binary = [](const Value& value, std::uint32_t size) {
    return key(KeyType::kBinary, size, value);
  };
  EXPECT_EQ(binary(Value::string("ab"), 4), "61620000");
  EXPECT_EQ(binary(Value::binary(as_bytes("abcdef")), 4), "61626364");
  EXPECT_EQ(binary(Value::int64(258), 10), "00000000000001020000");
  EXPECT_EQ(binary(Value::boolean(true), 8), "0000000000000001");
  EXPECT_EQ(binary(Value::ipv4(kIpv4), 6), "c00002070000");
  EXPECT_EQ(binary(Value::ipv6(ipv6({1}, {2})), 16), "01000000000000000000000000000002");
}

TEST(KeyConversionTest, KeysAreAppended) {
  TableDefinition definition;
  std::vector<std::byte> out;
  append_key(definition, Value::string("a"), out);
  append_key(definition, Value::string("bc"), out);
  EXPECT_EQ(as_text(out), "abc");
}

}  // namespace
}  // namespace stickmesh::spoe
