#include "agent/lua/string_functions.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/lua/probe.h"

namespace stickmesh::lua {
namespace {

class StringFunctionsTest : public ::testing::Test {
 protected:
  struct Case {
    std::string_view expression;
    std::string_view expected;
  };

  /// What the values of an expression are, separated by spaces, or what it raises.
  std::string value(std::string_view expression) {
    return probe_.run(
        fmt::format("local all = table.pack({})\n"
                    "for index = 1, all.n do all[index] = tostring(all[index]) end\n"
                    "return table.concat(all, ' ', 1, all.n)",
                    expression));
  }

  void expect_all(std::initializer_list<Case> cases) {
    for (const Case& each : cases) EXPECT_EQ(value(each.expression), each.expected) << each.expression;
  }

  StepBudget budget_{1'000'000};
  Probe probe_{&budget_};
};

TEST_F(StringFunctionsTest, Find) {
  expect_all({{"('hello'):find('l')", "3 3"},
              {"('hello'):find('l', 4)", "4 4"},
              {"('hello'):find('l', -1)", "nil"},
              {"('hello'):find('l', -2)", "4 4"},
              {"('hello'):find('h', -100)", "1 1"},
              {"('hello'):find('h', 0)", "1 1"},
              {"('hello'):find('', 6)", "6 5"},
              {"('hello'):find('', 7)", "nil"},
              {"('a.b'):find('.', 2, true)", "2 2"},
              {"('a%d1'):find('%d', 1, true)", "2 3"},
              {"('a%d1'):find('%d')", "4 4"},
              {"('k=v'):find('(%w)=(%w)')", "1 3 k v"},
              {"('k=v'):find('()=')", "2 2 2"},
              {"('aab'):find('^b')", "nil"},
              {"('aab'):find('^b', 3)", "3 3"},
              {"string.find(12345, 34)", "3 4"}});
}

TEST_F(StringFunctionsTest, Match) {
  expect_all({{"('k=v'):match('%w=')", "k="},
              {"('k=v'):match('(%w)=(%w)')", "k v"},
              {"('k=v'):match('()%w', 2)", "3"},
              {"('k=v'):match('x')", "nil"},
              {"('k=v'):match('v', -1)", "v"},
              {"('k=v'):match('v', 9)", "nil"},
              {"string.match(20.5, '%d+')", "20"},
              {"math.type(('k'):match('()'))", "integer"}});
}

TEST_F(StringFunctionsTest, Gmatch) {
  const auto all = [this](std::string_view arguments) {
    return probe_.run(
        fmt::format("local all = {{}}\n"
                    "for a, b in string.gmatch({}) do all[#all + 1] = '<' .. a .. (b or '') .. '>' end\n"
                    "return table.concat(all)",
                    arguments));
  };
  EXPECT_EQ(all("'one two', '%a+'"), "<one><two>");
  EXPECT_EQ(all("'a=1, b=2', '(%w)=(%w)'"), "<a1><b2>");
  EXPECT_EQ(all("'abc', 'b*'"), "<><b><>");
  EXPECT_EQ(all("'abc', ''"), "<><><><>");
  EXPECT_EQ(all("'abc', '()'"), "<1><2><3><4>");
  EXPECT_EQ(all("'aa^a', '^a'"), "<^a>") << "not an anchor, which would stop it at the first one";
  EXPECT_EQ(all("'abc', '.', -2"), "<b><c>");
  EXPECT_EQ(all("'abc', '.', 4"), "");
  EXPECT_EQ(all("'abc', '', 4"), "<>");
  EXPECT_EQ(all("'abc', '', 5"), "");
  EXPECT_EQ(all("121, 1"), "<1><1>");
}

TEST_F(StringFunctionsTest, GmatchKeepsItsStringsAlive) {
  EXPECT_EQ(probe_.run("local next = string.gmatch(('ab'):rep(50), ('[^x]'):rep(2))\n"
                       "collectgarbage()\n"
                       "local count = 0\n"
                       "for pair in next do collectgarbage(); assert(pair == 'ab'); count = count + 1 end\n"
                       "return count"),
            "50");
}

TEST_F(StringFunctionsTest, GsubWithText) {
  expect_all({{"('hello'):gsub('l', 'L')", "heLLo 2"},
              {"('hello'):gsub('l', 'L', 1)", "heLlo 1"},
              {"('hello'):gsub('l', 'L', 0)", "hello 0"},
              {"('hello'):gsub('l', 'L', -1)", "hello 0"},
              {"('hello'):gsub('x', 'L')", "hello 0"},
              {"('abc'):gsub('', '-')", "-a-b-c- 4"},
              {"('abc'):gsub('b*', '-')", "-a-c- 3"},
              {"('abab'):gsub('^a', 'x')", "xbab 1"},
              {"('abc'):gsub('%w', '%0%0')", "aabbcc 3"},
              {"('ab cd'):gsub('(%w)(%w)', '%2%1')", "ba dc 2"},
              {"('abc'):gsub('%w', '%1')", "abc 3"},
              {"('abc'):gsub('()b', '%1')", "a2c 1"},
              {"('abc'):gsub('b', '%%')", "a%c 1"},
              {"('abc'):gsub('b', 7)", "a7c 1"},
              {"('abc'):gsub('(b', 'x')", "axc 1"},
              {"string.gsub(121, 1, 'x')", "x2x 2"}});
}

TEST_F(StringFunctionsTest, GsubWithATableOrAFunction) {
  expect_all({{"('$a $b $c'):gsub('%$(%w)', {a = 1, b = 'two', c = false})", "1 two $c 3"},
              {"('abc'):gsub('%w', {b = ''})", "ac 3"},
              {"('abc'):gsub('()', {[2] = 'x'})", "axbc 4"},
              {"('a b'):gsub('%w', function(x) return x .. x end)", "aa bb 2"},
              {"('a b'):gsub('%w', function() end)", "a b 2"},
              {"('a=b'):gsub('(.)=(.)', function(x, y) return y .. x end)", "ba 1"},
              {"('ab'):gsub('.', function(x) return ('xay'):gsub(x, '-') end)", "x-yxay 2"}});
}

TEST_F(StringFunctionsTest, LongResults) {
  EXPECT_EQ(value("#('x'):rep(10000):gsub('.', '%0%0%0')"), "30000");
  EXPECT_EQ(value("#('x'):rep(20000):gsub('x', function(x) return x .. x end)"), "40000");
}

TEST_F(StringFunctionsTest, Mistakes) {
  expect_all(
      {{"string.find()", "error: chunk:1: bad argument #1 to 'find' (string expected, got no value)"},
       {"string.match('a')", "error: chunk:1: bad argument #2 to 'match' (string expected, got no value)"},
       {"string.gmatch({}, 'a')", "error: chunk:1: bad argument #1 to 'gmatch' (string expected, got table)"},
       {"('a'):find('a', 'x')", "error: chunk:1: bad argument #2 to 'find' (number expected, got string)"},
       {"('a'):find('a', 1.5)",
        "error: chunk:1: bad argument #2 to 'find' (number has no integer representation)"},
       {"string.gsub('a', 'a')",
        "error: chunk:1: bad argument #3 to 'gsub' (string/function/table expected, got no value)"},
       {"string.gsub('a', 'a', true)",
        "error: chunk:1: bad argument #3 to 'gsub' (string/function/table expected, got boolean)"},
       {"('a'):find('[')", "error: chunk:1: malformed pattern (missing ']')"},
       {"('a'):match('(a')", "error: chunk:1: unfinished capture"},
       {"('a'):gsub('a', '%x')", "error: chunk:1: invalid use of '%' in replacement string"},
       {"('a'):gsub('a', '%')", "error: chunk:1: invalid use of '%' in replacement string"},
       {"('a'):gsub('a', '%2')", "error: chunk:1: invalid capture index %2"},
       {"('a'):gsub('a', {a = {}})", "error: chunk:1: invalid replacement value (a table)"},
       {"('a'):gsub('a', error)", "error: a"}});
}

TEST_F(StringFunctionsTest, WithoutStepsEveryCallIsRefused) {
  const std::string_view refused = "error: chunk:1: pattern too complex";
  EXPECT_EQ(probe_.run("next_match = string.gmatch('aaa', 'a') return next_match()"), "a");
  budget_.left = 0;
  expect_all({{"('a'):find('b')", refused},
              {"('a'):find('', 1, true)", refused},
              {"('a'):match('')", refused},
              {"('a'):gmatch('')", refused},
              {"('a'):gsub('', '')", refused},
              {"next_match()", refused},
              {"pcall(string.find, 'a', 'a')", "false pattern too complex"}});
  budget_.left = 100;
  EXPECT_EQ(value("('a'):find('a')"), "1 1");
}

TEST_F(StringFunctionsTest, AllElseOfTheLibraryIsAsItWas) {
  EXPECT_EQ(value("('a'):rep(3), ('a'):byte(), ('%d'):format(7), ('A'):lower()"), "aaa 97 7 a");
}

}  // namespace
}  // namespace stickmesh::lua
