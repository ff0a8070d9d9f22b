#include "agent/redis/command.h"

#include <gtest/gtest.h>

#include "tests/unit/redis/reply_text.h"

namespace stickmesh::redis {
namespace {

using namespace std::string_view_literals;

using Views = std::vector<std::string_view>;

std::string formatted(const Views& words) {
  std::string out;
  EXPECT_TRUE(append_command(out, words));
  return out;
}

// A command is a list of texts, so that what reads replies reads it.
Views parsed(std::string_view command, Reply& storage) {
  ReplyReader reader;
  std::size_t replies = 0;
  const auto outcome = reader.read(as_bytes(command), [&](const Reply& reply) -> Result<void> {
    ++replies;
    storage = reply;
    return {};
  });
  EXPECT_TRUE(outcome);
  EXPECT_EQ(replies, 1U);
  Views words;
  for (const Reply& word : storage.list) {
    EXPECT_EQ(word.type, Reply::Type::kText);
    words.push_back(word.text);
  }
  return words;
}

TEST(CommandTest, IsAListOfTexts) {
  EXPECT_EQ(formatted({"HSET", "stickmesh:http:joe", "gpc0", "5"}),
            "*4\r\n$4\r\nHSET\r\n$18\r\nstickmesh:http:joe\r\n$4\r\ngpc0\r\n$1\r\n5\r\n");
  EXPECT_EQ(formatted({"INFO"}), "*1\r\n$4\r\nINFO\r\n");
}

TEST(CommandTest, FollowsWhatIsThere) {
  std::string out = "*1\r\n$4\r\nINFO\r\n";
  const Views words = {"DEL", "k"};
  ASSERT_TRUE(append_command(out, words));
  EXPECT_EQ(out, "*1\r\n$4\r\nINFO\r\n*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n");
}

TEST(CommandTest, WordsHaveAnyBytes) {
  std::string every;
  for (int byte = 0; byte < 256; ++byte) every += static_cast<char>(byte);
  const std::string large(100'000, '\r');
  const Views words = {"HSET", "", std::string_view{}, "\0"sv, "a\r\nb", "$3\r\n", every, large};
  Reply storage;
  EXPECT_EQ(parsed(formatted(words), storage), words);
}

TEST(CommandTest, HasAsManyWordsAsAnEntryHasFields) {
  // Every data type, of which three are arrays of 100.
  std::vector<std::string> texts;
  for (std::size_t index = 0; index < 1000; ++index) texts.emplace_back(index % 40, 'x');
  const Views words(texts.begin(), texts.end());
  Reply storage;
  EXPECT_EQ(parsed(formatted(words), storage), words);
}

}  // namespace
}  // namespace stickmesh::redis
