#include "agent/redis/slots.h"

#include <gtest/gtest.h>

namespace stickmesh::redis {
namespace {

// What CLUSTER KEYSLOT of Redis 7.0.15 says.
TEST(SlotsTest, AreThoseOfRedis) {
  EXPECT_EQ(slot_of("123456789"), 0x31c3U);
  EXPECT_EQ(slot_of(""), 0U);
  EXPECT_EQ(slot_of("foo"), 12182U);
  EXPECT_EQ(slot_of("bar"), 5061U);
  EXPECT_EQ(slot_of("hello"), 866U);
}

TEST(SlotsTest, OfBracesWhatIsBetweenThem) {
  EXPECT_EQ(slot_of("{user1000}.following"), slot_of("user1000"));
  EXPECT_EQ(slot_of("a{foo}b{bar}"), slot_of("foo"));
  EXPECT_EQ(slot_of("foo{{bar}}zap"), slot_of("{bar"));
  EXPECT_EQ(slot_of("}a{foo}"), slot_of("foo"));
}

TEST(SlotsTest, OfEmptyOrOpenBracesEverything) {
  for (const char* key : {"foo{}{bar}", "foo{bar", "foo}bar{", "{}"}) {
    EXPECT_NE(slot_of(key), slot_of("bar")) << key;
    EXPECT_NE(slot_of(key), slot_of("")) << key;
  }
}

}  // namespace
}  // namespace stickmesh::redis
