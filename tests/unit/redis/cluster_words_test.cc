#include "agent/redis/cluster_words.h"

#include <gmock/gmock.h>

namespace stickmesh::redis {
namespace {

using ::testing::HasSubstr;

Reply number(std::int64_t value) {
  return {Reply::Type::kNumber, {}, value, {}};
}
Reply text(std::string value) {
  return {Reply::Type::kText, std::move(value), 0, {}};
}
Reply list(std::vector<Reply> parts) {
  return {Reply::Type::kList, {}, 0, std::move(parts)};
}
Reply node(const std::string& host, std::int64_t port) {
  return list({text(host), number(port), text("0123456789abcdef")});
}
Reply range(std::int64_t first, std::int64_t last, Reply master) {
  return list({number(first), number(last), std::move(master), node("192.0.2.9", 6379)});
}
std::string refusal(const Reply& reply) {
  const auto masters = read_masters(reply);
  return masters ? "none" : to_string(masters.error());
}

TEST(ClusterWordsTest, MastersAndTheirSlots) {
  const auto masters =
      read_masters(list({range(0, 5, node("192.0.2.1", 6379)), range(6, 6, node("192.0.2.1", 6380)),
                         range(16380, 16383, node("192.0.2.1", 6379))}));
  ASSERT_TRUE(masters);
  ASSERT_EQ(masters->size(), 2U);
  const Master& first = masters->front();
  EXPECT_EQ(address_text(first.host, first.port), "192.0.2.1:6379");
  EXPECT_EQ(first.slots.count(), 10U);
  EXPECT_TRUE(first.slots.test(16383) && first.slots.test(0) && !first.slots.test(6));
  EXPECT_EQ(masters->back().slots.count(), 1U);
  EXPECT_EQ(address_text("2001:db8::1", 6379), "[2001:db8::1]:6379");
}

TEST(ClusterWordsTest, ANodeThatIsToldByNameHasItsAddressBeside) {
  Reply named = node("redis-1.example", 6379);
  named.list.push_back(list({text("ip"), text("192.0.2.1")}));
  const auto masters = read_masters(list({range(0, 16383, named)}));
  ASSERT_TRUE(masters);
  EXPECT_EQ(masters->front().host, "192.0.2.1");
}

TEST(ClusterWordsTest, ANodeThatIsNotKnownYetHasNothing) {
  const auto masters = read_masters(list({range(0, 5, node("?", 6379)), range(6, 9, node("", 6379))}));
  ASSERT_TRUE(masters);
  ASSERT_EQ(masters->size(), 1U);
  EXPECT_EQ(masters->front().host, "") << "whoever has told it";
}

TEST(ClusterWordsTest, WhatIsNoListOfSlots) {
  EXPECT_THAT(refusal(number(7)), HasSubstr("is no list of slots"));
  EXPECT_THAT(refusal(list({number(7)})), HasSubstr("is no list of slots"));
  EXPECT_THAT(refusal(list({list({})})), HasSubstr("is no list of slots"));
  EXPECT_THAT(refusal(list({range(0, 16384, node("a", 1))})), HasSubstr("is no list of slots"));
  EXPECT_THAT(refusal(list({range(-1, 5, node("a", 1))})), HasSubstr("is no list of slots"));
  EXPECT_THAT(refusal(list({range(6, 5, node("a", 1))})), HasSubstr("is no list of slots"));
  EXPECT_THAT(refusal(list({range(0, 5, node("a", 65536))})), HasSubstr("is no list of slots"));
  EXPECT_THAT(refusal(list({range(0, 5, text("a"))})), HasSubstr("is no list of slots"));
  EXPECT_THAT(refusal(list({range(0, 5, node("a", 1)), range(5, 6, node("b", 1))})),
              HasSubstr("is no list of slots"))
      << "one slot has one master";
  std::vector<Reply> many;
  for (int slot = 0; slot < 1001; ++slot) many.push_back(range(slot, slot, node("192.0.2.1", slot + 1)));
  EXPECT_THAT(refusal(list(many)), HasSubstr("more than 1000 masters"));
}

TEST(ClusterWordsTest, AClusterThatIsNone) {
  EXPECT_THAT(refusal(list({})), HasSubstr("CLUSTERDOWN: no node of the cluster has slots"));
  EXPECT_THAT(refusal({Reply::Type::kError, "ERR This instance has cluster support disabled", 0, {}}),
              HasSubstr("set redis.cluster = false"));
  EXPECT_THAT(refusal({Reply::Type::kError, "NOPERM no", 0, {}}), HasSubstr("give it the rights"));
}

TEST(ClusterWordsTest, Redirections) {
  const auto moved = read_redirection("MOVED 3999 127.0.0.1:6381");
  ASSERT_TRUE(moved);
  EXPECT_FALSE(moved->once);
  EXPECT_EQ(address_text(moved->host, moved->port), "127.0.0.1:6381");
  const auto ask = read_redirection("ASK 3999 2001:db8::1:6381");
  ASSERT_TRUE(ask);
  EXPECT_TRUE(ask->once);
  EXPECT_EQ(address_text(ask->host, ask->port), "[2001:db8::1]:6381");
  EXPECT_EQ(read_redirection("MOVED 3999 :6381")->host, "");
  for (const char* other :
       {"MOVED", "MOVED 3999", "ASK 1 a:0", "ASK 1 a:65536", "ASK 1 a:x", "ASK 1 a:", "ERR no"})
    EXPECT_FALSE(read_redirection(other)) << other;
}

}  // namespace
}  // namespace stickmesh::redis
