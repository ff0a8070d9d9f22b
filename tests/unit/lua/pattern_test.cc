#include "agent/lua/pattern.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "agent/lua/character_class.h"

namespace stickmesh::lua {
namespace {

using namespace std::string_view_literals;
using Caret = PatternMatcher::Caret;
using Found = PatternMatcher::Outcome;

/// "begin-end", and of each capture its text or its place; "none", or the error.
std::string first_match(std::string_view subject, std::string_view pattern, Caret caret = Caret::kAnchors) {
  std::uint64_t steps = 100'000;
  PatternMatcher matcher(subject, pattern, caret, steps);
  const Found outcome = matcher.search(0);
  if (outcome == Found::kError) return matcher.error();
  if (outcome == Found::kNoMatch) return "none";
  std::string all = fmt::format("{}-{}", matcher.begin(), matcher.end());
  for (std::size_t index = 0; index < matcher.captures(); ++index) {
    const Capture capture = matcher.capture(index).value();
    all += ' ';
    if (capture.kind == Capture::Kind::kPosition) all += fmt::format("@{}", capture.begin);
    if (capture.kind == Capture::Kind::kText) all += subject.substr(capture.begin, capture.size);
    if (capture.kind == Capture::Kind::kOpen) all += "open";
  }
  return all;
}

struct Case {
  std::string_view subject;
  std::string_view pattern;
  std::string_view expected;
};

void expect_all(std::initializer_list<Case> cases) {
  for (const Case& each : cases) {
    EXPECT_EQ(first_match(each.subject, each.pattern), each.expected)
        << ::testing::PrintToString(each.subject) << " by " << ::testing::PrintToString(each.pattern);
  }
}

TEST(PatternTest, Characters) {
  expect_all({{"", "", "0-0"},
              {"abc", "", "0-0"},
              {"abc", "b", "1-2"},
              {"abc", "x", "none"},
              {"abc", "abcd", "none"},
              {"abc", ".c", "1-3"},
              {"a.c", "%.", "1-2"},
              {"a\0b\0c"sv, "\0c"sv, "3-5"},
              {"a\0b"sv, "%\0."sv, "1-3"},
              {"\xff\xfe", "\xfe", "1-2"},
              {"a]", "]", "1-2"}});
}

TEST(PatternTest, Anchors) {
  expect_all({{"abc", "^a", "0-1"},
              {"abc", "^b", "none"},
              {"a^b", "a^b", "0-3"},
              {"a^b", "%^", "1-2"},
              {"abc", "c$", "2-3"},
              {"abc", "b$", "none"},
              {"a$b", "a$b", "0-3"},
              {"", "^$", "0-0"},
              {"abc", "$", "3-3"},
              {"abc$", "%$$", "3-4"},
              {"ab", "(a)$", "none"}});
  EXPECT_EQ(first_match("b^a", "^a", Caret::kIsACharacter), "1-3");
  EXPECT_EQ(first_match("aaa", "^a", Caret::kIsACharacter), "none");
}

TEST(PatternTest, Sets) {
  expect_all({{"abc", "[cb]", "1-2"},
              {"abc", "[^ab]", "2-3"},
              {"x5", "[0-9]", "1-2"},
              {"x5", "[^%a]", "1-2"},
              {"a]b", "[]]", "1-2"},
              {"]a", "[^]]", "1-2"},
              {"a]b", "[%]]", "1-2"},
              {"a-b", "[b-]", "1-2"},
              {"a-b", "[-b]", "1-2"},
              {"b-", "[%a-z]+", "0-2"},
              {"a^", "[b^]", "1-2"},
              {"\x80z", "[\x7f-\xff]", "0-1"},
              {"a.b", "[.]", "1-2"},
              {"a\0b"sv, "[\0]"sv, "1-2"},
              {"m", "[z-a]", "none"}});
}

TEST(PatternTest, HowMany) {
  expect_all({{"aaab", "a*b", "0-4"},
              {"b", "a*b", "0-1"},
              {"b", "a+b", "none"},
              {"aaab", "a+", "0-3"},
              {"aaab", "a-b", "0-4"},
              {"aaab", "a-", "0-0"},
              {"ab", "a?b", "0-2"},
              {"b", "a?b", "0-1"},
              {"aab", "a?b", "1-3"},
              {"<a><b>", "<.->", "0-3"},
              {"<a><b>", "<.*>", "0-6"},
              {"a", "a?a", "0-1"},
              {"a*", "(a)*", "0-2 a"},
              {"x*", "*", "1-2"},
              {"a+b", "a%+b", "0-3"}});
}

TEST(PatternTest, Captures) {
  expect_all({{"key=value", "(%w+)=(%w+)", "0-9 key value"},
              {"abc", "a(.(.))", "0-3 bc c"},
              {"abc", "a()b()", "0-2 @1 @2"},
              {"abc", "(())", "0-0  @0"},
              {"xaya", "(.)a%1", "none"},
              {"xaxa", "(.)a%1a", "0-4 x"},
              {"\"it's\"", "([\"'])(.-)%1", "0-6 \" it's"},
              {"aa", "()a%1", "none"},
              {"abab", "(a(b))%1", "0-4 ab b"},
              {"aab", "(a-)b", "0-3 aa"},
              {"abc", "(a", "0-1 open"}});
}

TEST(PatternTest, BalancedAndFrontier) {
  expect_all({{"f(a(b)c)d)", "%b()", "1-8"},
              {"((a)", "%b()", "1-4"},
              {"(((", "%b()", "none"},
              {"xaax", "%baa", "1-3"},
              {"", "%b()", "none"},
              {"THE (quick) fox", "%f[%a]%a+", "0-3"},
              {"THE (quick) fox", "%f[%l]%a+", "5-10"},
              {"fox", "%f[%A]", "3-3"},
              {"fox", "%f[\0]"sv, "3-3"},
              {"a fox", "fox%f[%W]", "2-5"}});
}

TEST(PatternTest, Malformed) {
  expect_all({{"a", "%", "malformed pattern (ends with '%')"},
              {"a", "a%", "malformed pattern (ends with '%')"},
              {"a", "[a", "malformed pattern (missing ']')"},
              {"a", "[", "malformed pattern (missing ']')"},
              {"a", "[^", "malformed pattern (missing ']')"},
              {"a", "[]", "malformed pattern (missing ']')"},
              {"a", "[^]", "malformed pattern (missing ']')"},
              {"a", "[a%]", "malformed pattern (missing ']')"},
              {"a", "[a%", "malformed pattern (missing ']')"},
              {"a", "%b", "malformed pattern (missing arguments to '%b')"},
              {"a", "%ba", "malformed pattern (missing arguments to '%b')"},
              {"a", "%f", "missing '[' after '%f' in pattern"},
              {"a", "%fa", "missing '[' after '%f' in pattern"},
              {"a", "%f[a", "malformed pattern (missing ']')"},
              {"a", ")", "invalid pattern capture"},
              {"a", "(a))", "invalid pattern capture"},
              {"a", "%0", "invalid capture index %0"},
              {"a", "%1", "invalid capture index %1"},
              {"a", "(%1)", "invalid capture index %1"},
              {"a", "(a)%2", "invalid capture index %2"}});
}

TEST(PatternTest, WhatTheMatchDoesNotComeToMayBeMalformed) {
  expect_all({{"a", "b%", "none"}, {"a", "b[", "none"}, {"a", "b)", "none"}, {"", "a(", "none"}});
}

TEST(PatternTest, AsManyCapturesAsLuaHas) {
  std::string pattern;
  for (std::size_t count = 0; count < PatternMatcher::kMaxCaptures; ++count) pattern += "()";
  EXPECT_EQ(first_match("a", pattern).find("0-0 @0"), 0U);
  EXPECT_EQ(first_match("a", pattern + "(a)"), "too many captures");
}

TEST(PatternTest, NoDeeperThanLuaGoes) {
  std::string pattern;
  for (unsigned count = 1; count < PatternMatcher::kMaxDepth; ++count) pattern += "a?";
  const std::string subject(1000, 'a');
  EXPECT_EQ(first_match(subject, pattern), "0-199");
  EXPECT_EQ(first_match(subject, pattern + "a?"), kTooComplex);
}

TEST(PatternTest, TheFirstCaptureOfNoneIsTheMatch) {
  std::uint64_t steps = 100;
  PatternMatcher matcher("key=value", "=.", Caret::kAnchors, steps);
  ASSERT_EQ(matcher.search(0), Found::kMatch);
  EXPECT_EQ(matcher.capture(0)->begin, 3U);
  EXPECT_EQ(matcher.capture(0)->size, 2U);
  EXPECT_FALSE(matcher.capture(1).has_value());
}

TEST(PatternTest, AMatchBeginsWhereAskedASearchThereOrLater) {
  std::uint64_t steps = 100;
  PatternMatcher matcher("abab", "b", Caret::kAnchors, steps);
  EXPECT_EQ(matcher.match(0), Found::kNoMatch);
  EXPECT_EQ(matcher.match(1), Found::kMatch);
  EXPECT_EQ(matcher.search(2), Found::kMatch);
  EXPECT_EQ(matcher.begin(), 3U);
  EXPECT_EQ(matcher.search(4), Found::kNoMatch);
}

TEST(PatternTest, Plain) {
  std::uint64_t steps = 1000;
  EXPECT_EQ(find_plain("a.b.c", ".", 0, steps), 1U);
  EXPECT_EQ(find_plain("a.b.c", ".", 2, steps), 3U);
  EXPECT_EQ(find_plain("a.b.c", ".c", 0, steps), 3U);
  EXPECT_EQ(find_plain("a.b.c", ".d", 0, steps), std::nullopt);
  EXPECT_EQ(find_plain("a.b.c", "", 5, steps), 5U);
  EXPECT_EQ(find_plain("", "", 0, steps), 0U);
  EXPECT_EQ(find_plain("ab", "abc", 0, steps), std::nullopt);
  EXPECT_EQ(find_plain("a\0b"sv, "\0b"sv, 0, steps), 1U);
}

TEST(PatternTest, StepsRunOut) {
  for (const Case& each : std::initializer_list<Case>{{"aaaaaaaaaa", "a*b", ""},
                                                      {"aaaaaaaaaa", "a-b", ""},
                                                      {"aaaaaaaaaa", "[xyz]", ""},
                                                      {"aaaaaaaaaa", "a?a?a?b", ""},
                                                      {"aaaaaaaaaa", "()b", ""},
                                                      {"((((((((((", "%b()", ""},
                                                      {"aaaaaaaaaa", "%f[b]", ""}}) {
    std::uint64_t plenty = 1000;
    PatternMatcher whole(each.subject, each.pattern, Caret::kAnchors, plenty);
    EXPECT_EQ(whole.search(0), Found::kNoMatch) << each.pattern;
    const std::uint64_t needed = 1000 - plenty;
    EXPECT_GE(needed, each.subject.size()) << each.pattern;
    // With what it needs, one is left; with any less there is an error, and nothing left.
    for (std::uint64_t given = 0; given <= needed; ++given) {
      std::uint64_t steps = given;
      PatternMatcher matcher(each.subject, each.pattern, Caret::kAnchors, steps);
      ASSERT_EQ(matcher.search(0), Found::kError) << each.pattern << ", " << given;
      EXPECT_EQ(matcher.error(), kTooComplex);
      EXPECT_EQ(steps, 0U);
    }
    std::uint64_t enough = needed + 1;
    PatternMatcher matcher(each.subject, each.pattern, Caret::kAnchors, enough);
    EXPECT_EQ(matcher.search(0), Found::kNoMatch);
    EXPECT_EQ(enough, 1U);
  }
}

TEST(CharacterClassTest, AnyOtherLetterStandsForItself) {
  EXPECT_TRUE(in_class('5', 'd'));
  EXPECT_FALSE(in_class('5', 'D'));
  EXPECT_FALSE(in_class('\xe4', 'a'));
  EXPECT_TRUE(in_class('\xe4', 'A'));
  EXPECT_TRUE(in_class('e', 'e'));
  EXPECT_FALSE(in_class('f', 'E'));
  EXPECT_TRUE(in_class('E', 'E'));
}

}  // namespace
}  // namespace stickmesh::lua
