#include "agent/admin/key_text.h"

#include <gtest/gtest.h>

namespace stickmesh::admin {
namespace {

TableDefinition keyed(KeyType type, std::uint32_t size) {
  TableDefinition definition;
  definition.key_type = type;
  definition.key_size = size;
  return definition;
}

struct Case {
  KeyType type;
  std::uint32_t size;
  const char* text;
};

class KeyTextTest : public ::testing::TestWithParam<Case> {};

TEST_P(KeyTextTest, WhatIsShownCanBeWritten) {
  const auto [type, size, text] = GetParam();
  const auto key = key_from_text(keyed(type, size), text);
  ASSERT_TRUE(key.has_value()) << to_string(key.error());
  EXPECT_EQ(key_to_text(type, *key), text);
}

INSTANTIATE_TEST_SUITE_P(Types, KeyTextTest,
                         ::testing::Values(Case{KeyType::kIpv4, 4, "192.0.2.1"},
                                           Case{KeyType::kIpv6, 16, "2001:db8::1"},
                                           Case{KeyType::kInteger, 4, "4294967295"},
                                           Case{KeyType::kString, 33, "plain"},
                                           Case{KeyType::kString, 33, "a\\ b\\\\c\\=d\\x07\\xFF\\t\\e"},
                                           Case{KeyType::kBinary, 4, "00FF10A0"}));

TEST(KeyTextTest, BinaryKeysArePaddedAsHAProxyPadsThem) {
  const auto key = key_from_text(keyed(KeyType::kBinary, 4), "ab");
  ASSERT_TRUE(key.has_value());
  EXPECT_EQ(key_to_text(KeyType::kBinary, *key), "AB000000");
}

TEST(KeyTextTest, RefusesWhatDoesNotFit) {
  for (const auto& [type, size, text] :
       {Case{KeyType::kIpv4, 4, "192.0.2"}, Case{KeyType::kIpv4, 4, "2001:db8::1"},
        Case{KeyType::kIpv6, 16, "x"}, Case{KeyType::kInteger, 4, "4294967296"},
        Case{KeyType::kInteger, 4, "-1"}, Case{KeyType::kInteger, 4, ""}, Case{KeyType::kString, 4, "four"},
        Case{KeyType::kString, 4, ""}, Case{KeyType::kBinary, 2, "abc"}, Case{KeyType::kBinary, 2, "aabbcc"},
        Case{KeyType::kBinary, 2, "zz"}}) {
    EXPECT_FALSE(key_from_text(keyed(type, size), text).has_value()) << text;
  }
}

}  // namespace
}  // namespace stickmesh::admin
