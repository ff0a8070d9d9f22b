#include "agent/redis/replies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/redis/reply_text.h"

namespace stickmesh::redis {
namespace {

using namespace std::string_view_literals;
using ::testing::ElementsAre;

std::string one(std::string_view bytes) {
  const Heard heard = hear({bytes});
  EXPECT_EQ(heard.error, "");
  return heard.replies.size() == 1 ? heard.replies[0] : std::to_string(heard.replies.size()) + " replies";
}

TEST(RepliesTest, EveryType) {
  EXPECT_EQ(one("+OK\r\n"), "status(OK)");
  EXPECT_EQ(one("+\r\n"), "status()");
  EXPECT_EQ(one("-ERR value is not an integer\r\n"), "error(ERR value is not an integer)");
  EXPECT_EQ(one(":0\r\n"), "number(0)");
  EXPECT_EQ(one(":9223372036854775807\r\n"), "number(9223372036854775807)");
  EXPECT_EQ(one(":-9223372036854775808\r\n"), "number(-9223372036854775808)");
  EXPECT_EQ(one("$3\r\njoe\r\n"), "text(joe)");
  EXPECT_EQ(one("$0\r\n\r\n"), "text()");
  EXPECT_EQ(one("$-1\r\n"), "nothing");
  EXPECT_EQ(one("*0\r\n"), "[]");
  EXPECT_EQ(one("*-1\r\n"), "nothing");
  EXPECT_EQ(one("*3\r\n:1\r\n$-1\r\n-ERR no\r\n"), "[number(1), nothing, error(ERR no)]");
}

TEST(RepliesTest, ATextHasAnyBytes) {
  EXPECT_EQ(one("$9\r\na\r\n\0$1\r\n\xff\r\n"sv), "text(a\r\n\0$1\r\n\xff)"sv);
}

// Of Redis 7.0.15: EVAL "return {1,{2,{3,'x',false}}}" and the start of COMMAND INFO.
TEST(RepliesTest, ListsWithinLists) {
  EXPECT_EQ(one("*2\r\n:1\r\n*2\r\n:2\r\n*3\r\n:3\r\n$1\r\nx\r\n$-1\r\n"),
            "[number(1), [number(2), [number(3), text(x), nothing]]]");
  EXPECT_EQ(one("*1\r\n*3\r\n$4\r\nhset\r\n*0\r\n*2\r\n+write\r\n*-1\r\n"),
            "[[text(hset), [], [status(write), nothing]]]");
  EXPECT_EQ(one("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:7\r\n"), "[[[[[[number(7)]]]]]]");
}

TEST(RepliesTest, NothingIsLeftOfTheReplyBefore) {
  EXPECT_THAT(hear({"*2\r\n$1\r\na\r\n:5\r\n*2\r\n$-1\r\n*1\r\n:1\r\n$1\r\nb\r\n*0\r\n$-1\r\n"}).replies,
              ElementsAre("[text(a), number(5)]", "[nothing, [number(1)]]", "text(b)", "[]", "nothing"));
}

const std::string_view kConversation =
    "+OK\r\n$-1\r\n*3\r\n$3\r\na\r\n\r\n*2\r\n:-12\r\n*0\r\n-ERR x\r\n:1\r\n$0\r\n\r\n-READONLY You "
    "can't\r\n*-1\r\n"
    "*1\r\n*2\r\n+\r\n$2\r\n\r\n\r\n$12\r\nhttp_req_cnt\r\n";

TEST(RepliesTest, AnyTwoPiecesSayTheSame) {
  const std::vector<std::string> whole = hear({kConversation}).replies;
  ASSERT_EQ(whole.size(), 9U);
  for (std::size_t at = 0; at <= kConversation.size(); ++at) {
    const Heard heard = hear({kConversation.substr(0, at), kConversation.substr(at)});
    EXPECT_EQ(heard.replies, whole) << "cut at " << at;
    EXPECT_EQ(heard.error, "") << "cut at " << at;
  }
}

TEST(RepliesTest, ByteByByteTheyComeWithTheirLastByte) {
  const std::vector<std::string> whole = hear({kConversation}).replies;
  ReplyReader reader;
  Heard heard;
  std::vector<std::size_t> ends;
  for (std::size_t at = 0; at < kConversation.size(); ++at) {
    heard.hear(reader, kConversation.substr(at, 1));
    heard.hear(reader, {});
    while (ends.size() < heard.replies.size()) ends.push_back(at + 1);
  }
  EXPECT_EQ(heard.replies, whole);
  EXPECT_EQ(heard.error, "");
  EXPECT_THAT(ends, ElementsAre(5, 10, 45, 49, 55, 76, 81, 100, kConversation.size()));
}

TEST(RepliesTest, WhoeverTakesThemCanStop) {
  ReplyReader reader;
  std::vector<std::string> taken;
  const auto outcome = reader.read(as_bytes("+a\r\n+b\r\n+c\r\n"), [&](const Reply& reply) -> Result<void> {
    taken.push_back(reply.text);
    if (reply.text == "b") return refuse(Reason::kRedis, "enough");
    return {};
  });
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().detail, "enough");
  EXPECT_THAT(taken, ElementsAre("a", "b"));
}

TEST(RepliesTest, AReaderMayGoInTheMiddleOfAReply) {
  ReplyReader reader;
  Heard heard;
  heard.hear(reader, "*2\r\n*2\r\n$5\r\nhello\r\n$5\r\nhe");
  EXPECT_EQ(heard.replies.size(), 0U);
  EXPECT_EQ(heard.error, "");
}

}  // namespace
}  // namespace stickmesh::redis
