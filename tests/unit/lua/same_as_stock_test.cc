#include <gtest/gtest.h>

#include <array>
#include <random>

#include "tests/unit/lua/probe.h"

// Whatever is asked, our functions say what Lua's own say, errors too.

namespace stickmesh::lua {
namespace {

constexpr std::array kKinds = {"find", "find_plain", "match", "gmatch", "text", "some", "table", "call"};

/// So much that hardly anything random uses it up, and so little that what does is quick with Lua's own, too.
constexpr std::uint64_t kStepsOfACall = 20'000;

class SameAsStockTest : public ::testing::Test {
 protected:
  /// False when it was too much for the budget, which says nothing.
  bool same(const Call& call) {
    budget_.left = kStepsOfACall;
    const std::string said = ours_.call(call);
    if (budget_.left == 0) return false;
    EXPECT_EQ(said, stock_.call(call)) << call.kind << " of " << ::testing::PrintToString(call.subject)
                                       << " by " << ::testing::PrintToString(call.pattern) << " with "
                                       << ::testing::PrintToString(call.replacement) << ", " << call.number;
    return true;
  }

  std::size_t below(std::size_t limit) { return random_() % limit; }

  template <std::size_t size>
  std::string some_of(const std::array<std::string_view, size>& pieces, std::size_t most) {
    std::string all;
    for (std::size_t left = below(most + 1); left > 0; --left) all += pieces[below(size)];
    return all;
  }

  void compare(const std::function<Call()>& draw, std::size_t calls) {
    std::size_t compared = 0;
    for (std::size_t count = 0; count < calls && !HasFailure(); ++count) {
      if (same(draw())) ++compared;
    }
    EXPECT_TRUE(HasFailure() || compared > calls * 9 / 10) << compared;
  }

  std::mt19937 random_{20240601};
  StepBudget budget_;
  Probe ours_{&budget_};
  Probe stock_;
};

using namespace std::string_view_literals;

constexpr std::array kSubjects = {"a"sv, "b"sv,  "ab"sv, "aa"sv, "1"sv,    "("sv, ")"sv,       " "sv,
                                  "_"sv, "\0"sv, "Z"sv,  "]"sv,  "\xff"sv, "%"sv, "word 42"sv, "-"sv};
constexpr std::array kItems = {
    "a"sv,      "b"sv,     ".*"sv,     ".-"sv,    "%a"sv,     "%d+"sv, "%w*"sv,     "%S"sv,   ".?"sv,
    "[ab]"sv,   "[^a]*"sv, "[%w_]+"sv, "[a-z]"sv, "("sv,      ")"sv,   "(a*)"sv,    "()"sv,   "(.-)"sv,
    "%1"sv,     "%2"sv,    "%b()"sv,   "%baa"sv,  "$"sv,      "^"sv,   "%f[%w]"sv,  "%%"sv,   "%f[^%a]"sv,
    "%f[%z]"sv, "[]]"sv,   "[^]]?"sv,  "[%]]"sv,  "[a-%]]"sv, "\0"sv,  "[%a-z]-"sv, "(%w)"sv, "%x"sv};
constexpr std::array kCharacters = {"a"sv, "b"sv, "1"sv, "("sv, ")"sv, "%"sv, "["sv, "]"sv,  "^"sv,    "$"sv,
                                    "*"sv, "+"sv, "-"sv, "?"sv, "."sv, "f"sv, "d"sv, "\0"sv, "\xff"sv, "w"sv};
constexpr std::array kReplacements = {"x"sv, "%0"sv, "%1"sv, "%2"sv, "%%"sv,
                                      "%"sv, "<>"sv, ""sv,   "%9"sv, "\0"sv};

TEST_F(SameAsStockTest, PatternsOfItems) {
  compare(
      [&] {
        return Call{kKinds[below(kKinds.size())], some_of(kSubjects, 10), some_of(kItems, 5),
                    some_of(kReplacements, 3), static_cast<lua_Integer>(below(12)) - 4};
      },
      20'000);
}

TEST_F(SameAsStockTest, PatternsOfCharacters) {
  compare(
      [&] {
        return Call{kKinds[below(kKinds.size())], some_of(kCharacters, 8), some_of(kCharacters, 8),
                    some_of(kReplacements, 2), static_cast<lua_Integer>(below(12)) - 4};
      },
      20'000);
}

TEST_F(SameAsStockTest, EveryCharacterInEveryClass) {
  std::string all;
  for (int code = 0; code < 256; ++code) all += static_cast<char>(code);
  for (int letter = 0; letter < 256; ++letter) {
    if (letter == 'b' || letter == 'f') continue;
    const std::string escaped = {'%', static_cast<char>(letter)};
    EXPECT_TRUE(same({"text", all, escaped, "<%0>"}));
    EXPECT_TRUE(same({"text", all, "[" + escaped + "x-]", "<%0>"}));
    EXPECT_TRUE(same({"text", all, "[^" + escaped + "]", "<%0>"}));
    EXPECT_TRUE(same({"text", all, std::string("[0-") + static_cast<char>(letter) + "]", "<%0>"}));
  }
}

TEST_F(SameAsStockTest, CapturesUpToTheLimit) {
  for (std::size_t count = 0; count < 40; ++count) {
    std::string positions, texts;
    for (std::size_t left = count; left > 0; --left) {
      positions += "()";
      texts += "(.)";
    }
    const std::string nested = std::string(count, '(') + "a" + std::string(count, ')');
    for (const char* kind : {"find", "match", "text", "call"}) {
      for (const std::string& pattern : {positions, texts, nested, std::string(count, '(')}) {
        EXPECT_TRUE(same({kind, std::string(35, 'a'), pattern, "%1%9"}));
      }
    }
  }
}

TEST_F(SameAsStockTest, DepthUpToTheLimit) {
  for (std::size_t count = 180; count < 220; ++count) {
    for (const char* item : {"a?", "a*", "a-", "b?", "b*", "a", "%f[a]", "%baa"}) {
      std::string pattern;
      for (std::size_t left = count; left > 0; --left) pattern += item;
      EXPECT_TRUE(same({"find", std::string(count * 2, 'a'), pattern}));
    }
  }
}

TEST_F(SameAsStockTest, StartsAtTheEndsOfIntegers) {
  for (const lua_Integer start : {LUA_MININTEGER, LUA_MININTEGER + 1, LUA_MAXINTEGER, LUA_MAXINTEGER - 1}) {
    for (const char* kind : kKinds) EXPECT_TRUE(same({kind, "abc", "b", "x", start}));
  }
}

}  // namespace
}  // namespace stickmesh::lua
