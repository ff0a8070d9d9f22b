#include "agent/peers/wire/handshake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace stickmesh::peers {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kHello = "HAProxyS 2.1\nagent\nlb1 4711 1\n";

Hello parsed(std::string_view text) {
  const auto result = parse_hello(text);
  return result && *result ? (*result)->hello : Hello{9, "unparsed", {}, {}};
}

Reason refusal(std::string_view text) {
  const auto result = parse_hello(text);
  return result ? Reason::kCount : result.error().reason;
}

TEST(HelloTest, IsThreeLinesThatHAProxyAccepts) {
  EXPECT_EQ(encode_hello({1, "agent", "lb1", 4711}), kHello);
  EXPECT_EQ(encode_hello({0, "a", "b", 0}), "HAProxyS 2.0\na\nb 0 1\n");
}

TEST(HelloTest, ReadsBackWhatWasWritten) {
  EXPECT_EQ(parsed(kHello), (Hello{1, "agent", "lb1", 4711}));
  EXPECT_EQ(parsed("HAProxyS 2.0\nagent\nlb1 1 1\n").minor, 0U);
}

TEST(HelloTest, AcceptsCarriageReturnsBeforeLineFeeds) {
  EXPECT_EQ(parsed("HAProxyS 2.1\r\nagent\r\nlb1 4711 1\r\n"), (Hello{1, "agent", "lb1", 4711}));
}

TEST(HelloTest, TellsWhereMessagesBegin) {
  const auto result = parse_hello(std::string(kHello) + std::string("\0\4", 2));
  ASSERT_TRUE(result && *result);
  EXPECT_EQ((*result)->size, kHello.size());
}

TEST(HelloTest, EveryTruncationWaitsForMore) {
  for (std::size_t size = 0; size < kHello.size(); ++size) {
    const auto result = parse_hello(kHello.substr(0, size));
    ASSERT_TRUE(result) << size;
    EXPECT_FALSE(result->has_value()) << size;
  }
}

TEST(HelloTest, TakesAPidOnlyWhereThereIsANumber) {
  EXPECT_EQ(parsed("HAProxyS 2.1\nagent\nlb1 \n").pid, 0U);
  EXPECT_EQ(parsed("HAProxyS 2.1\nagent\nlb1 x 1\n").pid, 0U);
  EXPECT_EQ(parsed("HAProxyS 2.1\nagent\nlb1 99999999999999999999 1\n").pid, 0U);
  EXPECT_EQ(parsed("HAProxyS 2.1\nagent\nlb1 12\n").pid, 12U);
}

TEST(HelloTest, RefusesAnotherProtocolAsSoonAsItsFirstLineIsThere) {
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\n"), Reason::kBadHello);
  EXPECT_EQ(refusal("haproxys 2.1\n"), Reason::kBadHello);
  EXPECT_EQ(refusal("\n"), Reason::kBadHello);
}

TEST(HelloTest, RefusesVersionsOtherThan20And21) {
  for (const char* version :
       {"1.0", "2.2", "3.0", "2", "2.", ".1", "2.1.1", "2.x", "-2.1", "2.1 ", "", "2.99999999999999999999"}) {
    EXPECT_EQ(refusal(std::string("HAProxyS ") + version + "\n"), Reason::kBadVersion) << version;
  }
}

TEST(HelloTest, RefusesBadNames) {
  const std::string longest(kMaxPeerName, 'n');
  EXPECT_EQ(parsed("HAProxyS 2.1\n" + longest + "\n" + longest + " 1 1\n").from, longest);
  EXPECT_EQ(refusal("HAProxyS 2.1\n" + longest + "n\n"), Reason::kBadHello);
  EXPECT_EQ(refusal("HAProxyS 2.1\n\n"), Reason::kBadHello);
  EXPECT_EQ(refusal("HAProxyS 2.1\nagent\n 1 1\n"), Reason::kBadHello);
  EXPECT_EQ(refusal("HAProxyS 2.1\nagent\nlb1\n"), Reason::kBadHello);
  EXPECT_EQ(refusal("HAProxyS 2.1\nag\x1b[2Jent\nlb1 1 1\n"), Reason::kBadHello);
  EXPECT_EQ(refusal(std::string("HAProxyS 2.1\nag\0ent\n", 20)), Reason::kBadHello);
}

TEST(HelloTest, DoesNotWaitForTheEndOfAnEndlessLine) {
  const std::string line = "HAProxyS 2.1" + std::string(kMaxHelloLine, ' ');
  EXPECT_TRUE(parse_hello(line.substr(0, kMaxHelloLine)));
  EXPECT_EQ(refusal(line.substr(0, kMaxHelloLine + 1)), Reason::kBadHello);
}

TEST(HelloTest, ErrorsShowWhatCameWithoutItsControlCharacters) {
  const auto result = parse_hello("\x1b]0;gotcha\a\n");
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().detail, HasSubstr("gotcha"));
  EXPECT_THAT(result.error().detail, Not(HasSubstr("\x1b")));
}

TEST(StatusTest, ReadsBackEveryStatus) {
  for (const int status : {0, 200, 300, 501, 502, 503, 504, 999}) {
    const auto result = parse_status(encode_status(status) + "more");
    ASSERT_TRUE(result && *result) << status;
    EXPECT_EQ((*result)->status, status);
    EXPECT_EQ((*result)->size, encode_status(status).size());
  }
  EXPECT_EQ((*parse_status("200\r\n"))->status, 200);
}

TEST(StatusTest, WaitsForTheWholeLine) {
  for (const char* text : {"", "2", "200", "200\r"}) {
    const auto result = parse_status(text);
    ASSERT_TRUE(result) << text;
    EXPECT_FALSE(result->has_value()) << text;
  }
}

TEST(StatusTest, RefusesWhatIsNoStatus) {
  for (const char* text : {"\n", "OK\n", "-200\n", "200 \n", "1000\n", "99999999999999999999\n"}) {
    const auto result = parse_status(text);
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().reason, Reason::kBadHello) << text;
  }
  EXPECT_FALSE(parse_status(std::string(kMaxHelloLine + 1, '2')));
}

TEST(StatusTest, EachHasItsOwnAdvice) {
  std::set<std::string_view> words;
  for (const int status : {200, 300, 501, 502, 503, 504, 999}) words.insert(describe_status(status));
  EXPECT_EQ(words.size(), 7U);
  EXPECT_THAT(std::string(describe_status(503)), HasSubstr("localpeer"));
}

}  // namespace
}  // namespace stickmesh::peers
