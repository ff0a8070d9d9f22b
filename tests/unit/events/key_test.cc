#include "agent/events/key.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "agent/admin/key_text.h"
#include "tests/unit/events/line_fixture.h"

namespace stickmesh::events {
namespace {

// As `show table` would print it; a refusal in brackets.
std::string key_of(KeyType type, std::uint32_t size, std::string_view text) {
  TableDefinition definition = pipeline::counter_table("t");
  definition.key_type = type;
  definition.key_size = size;
  std::vector<std::byte> key{std::byte{0x2a}};
  const std::string_view why = append_key(definition, text, key);
  EXPECT_EQ(key.front(), std::byte{0x2a}) << "it is appended";
  if (why.empty()) return admin::key_to_text(type, Bytes(key).subspan(1));
  EXPECT_EQ(key.size(), 1U);
  return fmt::format("({})", why);
}

TEST(EventKeyTest, TextOfAnAddressIsWhatTheAddressIs) {
  EXPECT_EQ(key_of(KeyType::kIpv4, 4, "192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(key_of(KeyType::kIpv4, 4, "::ffff:192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(key_of(KeyType::kIpv6, 16, "2001:db8::7"), "2001:db8::7");
  EXPECT_EQ(key_of(KeyType::kIpv6, 16, "192.0.2.7"), "::ffff:192.0.2.7");
  EXPECT_EQ(key_of(KeyType::kIpv4, 4, "2001:db8::7"), "(it is no IPv4 address)");
  for (const std::string_view text :
       {std::string_view("joe"), std::string_view(""), std::string_view("1.2.3.4\0", 8),
        std::string_view("1.2.3.4.5"), std::string_view("::1:::")}) {
    EXPECT_EQ(key_of(KeyType::kIpv4, 4, text), "(it is no address)") << text;
    EXPECT_EQ(key_of(KeyType::kIpv6, 16, text), "(it is no address)") << text;
  }
  EXPECT_EQ(key_of(KeyType::kIpv6, 16, std::string(5000, '1')), "(it is no address)");
}

TEST(EventKeyTest, StringsAndNumbersAreAsThoseOfSamples) {
  EXPECT_EQ(key_of(KeyType::kString, 9, "amy"), "amy");
  EXPECT_EQ(key_of(KeyType::kString, 9, "longer than eight"), "longer\\ t");
  EXPECT_EQ(key_of(KeyType::kString, 9, std::string_view("amy\0joe", 7)), "amy");
  EXPECT_EQ(key_of(KeyType::kString, 9, std::string_view("\0joe", 4)), "(it is empty)");
  EXPECT_EQ(key_of(KeyType::kInteger, 4, "77"), "77");
  EXPECT_EQ(key_of(KeyType::kInteger, 4, ""), "(it is empty)");
}

TEST(EventKeyTest, BinaryKeysAreBytes) {
  EXPECT_EQ(key_of(KeyType::kBinary, 4, std::string_view("\0A\xff", 3)), "0041FF00");
  EXPECT_EQ(key_of(KeyType::kBinary, 4, "ABCDEF"), "41424344");
}

}  // namespace
}  // namespace stickmesh::events
