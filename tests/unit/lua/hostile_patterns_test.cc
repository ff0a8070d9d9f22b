#include <gtest/gtest.h>

#include "tests/unit/lua/probe.h"

// Subjects and patterns that keep Lua's own functions busy for seconds, or for ever.

namespace stickmesh::lua {
namespace {

constexpr std::uint64_t kSteps = 1'000'000;

class HostilePatternsTest : public ::testing::Test {
 protected:
  std::string run(const std::string& chunk) {
    budget_.left = kSteps;
    return probe_.run(chunk);
  }

  StepBudget budget_;
  Probe probe_{&budget_};
};

TEST_F(HostilePatternsTest, EndWhenTheStepsAreUsedUp) {
  for (const char* expression : {
           "('a'):rep(3000):find('.-.-.-.-b')",
           "('a'):rep(3000):match('.*.*.*.*b')",
           "('a'):rep(3000):match('a?.-(.+)(.+)%2%1$')",
           "('a'):rep(30000):gsub('.-b', '')",
           "('a'):rep(30000):gmatch('.-b')()",
           "('a'):rep(3000):match(('a*'):rep(100) .. 'b')",
           "('('):rep(30000):match('%b()')",
           "('a'):rep(30000):match('(.*)%1b')",
           "('()'):rep(10000):gsub('%b().-%b(]', '')",
           "('a'):rep(100000):find(('a'):rep(50000) .. 'b', 1, true)",
           "('a'):rep(100000):find(('a'):rep(50000) .. 'b')",
           "('a'):find(('a'):rep(3000000))",
           "('a'):rep(10000):gsub('[' .. ('b'):rep(10000) .. ']', '')",
           "('a'):rep(10000):gsub('%f[' .. ('b'):rep(10000) .. ']', '')",
           "('a'):rep(10000):gsub('[a' .. ('b'):rep(10000) .. ']', '')",
           "('a'):rep(10000):gsub('()', ('%2'):rep(1000):gsub('2', '1'))",
           "('a'):rep(10000):gsub('()a', function() return ('a'):rep(1000):match('.-.-b') end)",
       }) {
    const std::string said = run(std::string("return ").append(expression));
    EXPECT_NE(said.find("pattern too complex"), std::string::npos)
        << expression << ": " << said.substr(0, 100);
    EXPECT_EQ(budget_.left, 0U) << expression;
  }
}

// The captures are empty: such a result would never get large.
TEST_F(HostilePatternsTest, ReplacementsOfNothingCost) {
  EXPECT_EQ(run("return ('a'):rep(10000):gsub('a(b?)', ('%1'):rep(1000))"),
            "error: chunk:1: pattern too complex");
}

TEST_F(HostilePatternsTest, PcallDoesNotGoOn) {
  EXPECT_EQ(run("local count = 0\n"
                "for _ = 1, 1000 do\n"
                "  if pcall(string.find, ('a'):rep(3000), '.-.-.-.-b') then count = count + 1 end\n"
                "  if pcall(string.find, 'a', 'a') then count = count + 1 end\n"
                "end\n"
                "return count"),
            "0");
}

TEST_F(HostilePatternsTest, DepthIsBounded) {
  for (const char* pattern : {"('('):rep(100000)", "('a?'):rep(100000)", "('()'):rep(100000)",
                              "('(a)'):rep(100000)", "('a-'):rep(100000)"}) {
    const std::string said = run(std::string("return ('a'):rep(1000):find(").append(pattern).append(")"));
    EXPECT_TRUE(said.find("too complex") != said.npos || said.find("too many captures") != said.npos) << said;
  }
  EXPECT_NE(budget_.left, 0U) << "it is the depth that was too much";
}

TEST_F(HostilePatternsTest, LongButSimpleIsNot) {
  EXPECT_EQ(run("return ('a'):rep(100000):find('^a*$')"), "1");
  EXPECT_EQ(run("return #('('):rep(30000):match('%(*')"), "30000");
  EXPECT_EQ(run("return (('('):rep(30000) .. (')'):rep(30000)):find('%b()')"), "1");
  EXPECT_EQ(run("return ('a'):rep(900000):find('b', 1, true)"), "nil");
  EXPECT_EQ(run("return ('a'):rep(9000):find(('a'):rep(9000))"), "1");
  EXPECT_EQ(run("return ('a '):rep(20000):gsub('%s', '')"), std::string(20000, 'a'));
}

TEST_F(HostilePatternsTest, MemoryIsTheScripts) {
  // Stops allocating at a limit, as a state of hooks does.
  struct Limit {
    std::size_t left = 1U << 20U;
  } limit;
  const auto allocate = [](void* data, void* old, std::size_t old_size, std::size_t size) -> void* {
    auto& left = static_cast<Limit*>(data)->left;
    const std::size_t had = old == nullptr ? 0 : old_size;
    if (size > had && size - had > left) return nullptr;
    left = left + had - size;
    if (size != 0) return std::realloc(old, size);
    std::free(old);
    return nullptr;
  };
  const std::unique_ptr<lua_State, void (*)(lua_State*)> state(lua_newstate(allocate, &limit), lua_close);
  luaL_openlibs(state.get());
  budget_.left = kSteps;
  open_bounded_strings(state.get(), budget_);
  ASSERT_EQ(luaL_loadstring(state.get(), "return ('a'):rep(1000):gsub('a', ('b'):rep(10000))"), LUA_OK);
  EXPECT_EQ(lua_pcall(state.get(), 0, 1, 0), LUA_ERRMEM);
  EXPECT_STREQ(lua_tostring(state.get(), -1), "not enough memory");
}

}  // namespace
}  // namespace stickmesh::lua
