#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/redis/reply_text.h"

namespace stickmesh::redis {
namespace {

using namespace std::string_view_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class HostileRepliesTest : public ::testing::TestWithParam<std::string_view> {};

TEST_P(HostileRepliesTest, AreRefusedWhereverTheyAreCut) {
  const std::string_view bytes = GetParam();
  for (std::size_t at = 0; at <= bytes.size(); ++at) {
    const Heard heard = hear({"+OK\r\n", bytes.substr(0, at), bytes.substr(at)});
    EXPECT_EQ(heard.replies, std::vector<std::string>{"status(OK)"}) << at;
    EXPECT_THAT(heard.error, StartsWith("redis: protocol: ")) << at;
  }
}

INSTANTIATE_TEST_SUITE_P(Garbage, HostileRepliesTest,
                         ::testing::Values("HTTP/1.1 400 Bad request\r\n", "\r\n", "\0"sv, "\xff\xfe",
                                           "OK\r\n",
                                           // of RESP3, which is not asked for
                                           "%1\r\n+a\r\n+b\r\n", "_\r\n", "#t\r\n", ">1\r\n+a\r\n"));
INSTANTIATE_TEST_SUITE_P(Numbers, HostileRepliesTest,
                         ::testing::Values(":x\r\n", ":1x\r\n", ":9223372036854775808\r\n",
                                           ":-9223372036854775809\r\n", ":- 1\r\n"));
INSTANTIATE_TEST_SUITE_P(Lengths, HostileRepliesTest,
                         ::testing::Values("$-2\r\n", "$x\r\n", "$9223372036854775808\r\n",
                                           "$18446744073709551616\r\n", "$-9223372036854775808\r\n",
                                           "$\r\n"));
INSTANTIATE_TEST_SUITE_P(Counts, HostileRepliesTest,
                         ::testing::Values("*-2\r\n", "*x\r\n", "*\r\n", "*100001\r\n", "*2147483647\r\n",
                                           "*2147483648\r\n", "*4294967296\r\n", "*4294967297\r\n",
                                           "*9223372036854775807\r\n", "*18446744073709551617\r\n",
                                           "*1\r\n*2147483647\r\n"));

TEST(HostileRepliesTest, ListsAreNotNestedDeeply) {
  for (const std::size_t depth : {9U, 10U, 20U, 100'000U}) {
    std::string bytes;
    for (std::size_t level = 0; level < depth; ++level) bytes += "*1\r\n";
    EXPECT_THAT(hear({bytes}).error, HasSubstr("nested")) << depth;
  }
}

TEST(HostileRepliesTest, OneReplyHasSoManyPartsAndNoMore) {
  std::string list = fmt::format("*{}\r\n", ReplyReader::kMaxReplies);
  for (std::size_t part = 0; part < ReplyReader::kMaxReplies; ++part) list += ":1\r\n";
  ReplyReader reader;
  std::size_t lists = 0;
  const auto count = [&](const Reply& reply) -> Result<void> {
    EXPECT_EQ(reply.list.size(), ReplyReader::kMaxReplies);
    ++lists;
    return {};
  };
  // The second has as much room as the first.
  for (int round = 0; round < 2; ++round) EXPECT_TRUE(reader.read(as_bytes(list), count));
  EXPECT_EQ(lists, 2U);
}

TEST(HostileRepliesTest, MorePartsMayBeAllowed) {
  ReplyReader reader;
  reader.allow(200'000);
  Heard heard;
  heard.hear(reader, "*1\r\n*199999\r\n");
  EXPECT_EQ(heard.error, "");
  heard.hear(reader, "*1\r\n");
  EXPECT_THAT(heard.error, HasSubstr("200000 parts"));
}

TEST(HostileRepliesTest, PartsOfPartsCountToo) {
  std::string inner = "*400\r\n";
  for (int part = 0; part < 400; ++part) inner += "$-1\r\n";
  ReplyReader reader;
  Heard heard;
  heard.hear(reader, "*400\r\n");
  int lists = 0;
  for (; lists < 400 && heard.error.empty(); ++lists) heard.hear(reader, inner);
  // 400 of the outer list, and 249 times 400.
  EXPECT_EQ(lists, 250);
  EXPECT_THAT(heard.error, HasSubstr("parts"));
}

constexpr std::size_t kPiece = std::size_t{1} << 20U;

TEST(HostileRepliesTest, ATextThatNeverEndsIsRefused) {
  // Large: the buffer moves with each.
  const std::string piece(16 * kPiece, 'x');
  for (const char* begin : {"$9223372036854775807\r\n", "$100000000000\r\n", "*2\r\n$100000000\r\n"}) {
    ReplyReader reader;
    Heard heard;
    heard.hear(reader, begin);
    EXPECT_EQ(heard.error, "");
    std::size_t pieces = 0;
    for (; pieces < 100 && heard.error.empty(); ++pieces) heard.hear(reader, piece);
    EXPECT_EQ(pieces, ReplyReader::kMaxBytes / piece.size()) << begin;
    EXPECT_THAT(heard.error, HasSubstr("longer than")) << begin;
  }
}

// What was read of a list is no longer in the reader's buffer, and is as much memory all the same.
TEST(HostileRepliesTest, TextsOfOneListCountTogether) {
  const std::string text = fmt::format("${}\r\n{}\r\n", kPiece, std::string(kPiece, 'x'));
  ReplyReader reader;
  Heard heard;
  heard.hear(reader, "*1000\r\n");
  std::size_t texts = 0;
  for (; texts < 100 && heard.error.empty(); ++texts) heard.hear(reader, text);
  EXPECT_EQ(texts, ReplyReader::kMaxBytes / kPiece + 1);
  EXPECT_THAT(heard.error, HasSubstr("longer than"));
}

TEST(HostileRepliesTest, TextsOfDifferentRepliesDoNot) {
  const std::string text = fmt::format("${}\r\n{}\r\n", kPiece, std::string(kPiece, 'x'));
  ReplyReader reader;
  std::size_t texts = 0;
  const auto count = [&](const Reply&) -> Result<void> {
    ++texts;
    return {};
  };
  for (std::size_t round = 0; round <= ReplyReader::kMaxBytes / kPiece; ++round) {
    ASSERT_TRUE(reader.read(as_bytes(text), count));
  }
  EXPECT_EQ(texts, ReplyReader::kMaxBytes / kPiece + 1);
}

}  // namespace
}  // namespace stickmesh::redis
