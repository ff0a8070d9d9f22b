#include "agent/lua/state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <new>
#include <stdexcept>
#include <string>

#include "agent/base/printable.h"

namespace stickmesh::lua {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

constexpr std::size_t kMemory = std::size_t{4} << 20U;

class StateTest : public ::testing::Test {
 protected:
  Outcome run(const std::string& source) { return state_.run(source, "=script", milliseconds(5)); }

  // What was left behind is cleared away first, which takes a while when everything is sanitized.
  bool is_usable() { return static_cast<bool>(state_.run("return 1", "=script", std::chrono::seconds(1))); }

  Watchdog watchdog_;
  State state_{kMemory, watchdog_};
};

TEST_F(StateTest, SaysWhereAScriptHasFailed) {
  EXPECT_TRUE(run("x = 1"));
  EXPECT_EQ(run("\n\nx = ").message, "script:3: unexpected symbol near <eof>");
  EXPECT_EQ(run("\nerror('no')").message, "script:2: no");
  EXPECT_EQ(run("error({})").message, "an error that is no text");
  EXPECT_EQ(run("error()").ending, Ending::kFailed);
  EXPECT_THAT(run("\x1bLua").message, HasSubstr("attempt to load a binary chunk"));
}

TEST_F(StateTest, StopsWhatRunsTooLongHoweverItHidesIt) {
  for (const char* source : {
           "while true do end",
           "while true do pcall(function() while true do end end) end",
           "local function f() return pcall(f) end while true do f() end",
           "local t = {} for i = 1, 9999 do t[i] = i end while true do table.sort(t, function() return false "
           "end) end",
           "local t = setmetatable({}, { __index = function(t, k) return t[k + 1] end }) while true do "
           "pcall(function() return t[1] end) end",
           "do local x <close> = setmetatable({}, { __close = function() while true do end end }) error('x') "
           "end",
           "while true do pcall(string.rep, 'x', 1000) end",
           "while true do pcall(string.find, ('a'):rep(3000), '.-.-.-.-b') end",
           "('x'):rep(1000):gsub('x', function() while true do end end)",
           "for _ in ('x'):rep(1000):gmatch('x') do while true do end end",
           "while true do local t = {} t.t = t end",
       }) {
    const Outcome outcome = run(source);
    EXPECT_EQ(outcome.ending, Ending::kOutOfTime) << source << ": " << outcome.message;
    EXPECT_TRUE(is_usable()) << source;
  }
}

// In processor time, of which a busy machine costs none.
TEST_F(StateTest, ALongerLimitBeforeDoesNotDelayAShorterOne) {
  ASSERT_TRUE(state_.run("return 1", "=script", std::chrono::minutes(1)));
  const std::clock_t before = std::clock();
  EXPECT_EQ(run("while true do end").ending, Ending::kOutOfTime);
  EXPECT_LT(std::clock() - before, 10 * CLOCKS_PER_SEC);
}

TEST_F(StateTest, SortingLongTextsIsBounded) {
  const Outcome outcome =
      run("local s = ('\\0'):rep(100000) local t = {} for i = 1, 5000 do t[i] = s end table.sort(t)");
  EXPECT_EQ(outcome.ending, Ending::kOutOfTime) << outcome.message;
}

TEST_F(StateTest, MessagesAreFitForALog) {
  EXPECT_EQ(run("error('a\\nb\\27c', 0)").message, readable("a\nb\x1b"
                                                            "c"));
  EXPECT_LE(run("error(('x'):rep(100000))").message.size(), 1100U);
}

TEST_F(StateTest, NamesTheLineThatWasStopped) {
  EXPECT_EQ(run("local x = 0\nwhile true do x = x + 1 end").message,
            "script:2: it ran longer than call-time");
}

TEST_F(StateTest, HoldsNoMoreMemoryThanItMay) {
  for (const char* source : {
           "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end",
           "local s = 'xxxxxxxx' for i = 1, 60 do s = s .. s end",
           "local t = {} for i = 1, 1e9 do t[i] = {} end",
       }) {
    const Outcome outcome = state_.run(source, "=script", std::chrono::seconds(10));
    EXPECT_EQ(outcome.ending, Ending::kOutOfMemory) << source << ": " << outcome.message;
    EXPECT_LE(state_.memory(), kMemory);
    EXPECT_TRUE(is_usable());
  }
}

TEST_F(StateTest, ACallLeavesNothing) {
  ASSERT_TRUE(run("calls = 0 function f() calls = calls + 1 end"));
  const auto call = [&] {
    return state_.call(
        [](lua_State* state) {
          lua_getglobal(state, "f");
          lua_call(state, 0, 0);
          return 0;
        },
        nullptr, milliseconds(100));
  };
  ASSERT_TRUE(call());
  const std::size_t before = state_.memory();
  for (int number = 0; number < 100'000; ++number) ASSERT_TRUE(call());
  EXPECT_EQ(state_.memory(), before);
  EXPECT_TRUE(run("assert(calls == 100001)"));
}

TEST_F(StateTest, WhatReachesOutIsNotThere) {
  for (const char* name :
       {"io", "os", "package", "require", "debug", "coroutine", "load", "loadfile", "dofile", "xpcall",
        "collectgarbage", "print", "string.dump", "string.pack", "table.move", "math.randomseed"}) {
    EXPECT_TRUE(run(std::string("assert(") + name + " == nil)")) << name;
  }
  EXPECT_THAT(run("setmetatable({}, { __gc = function() end })").message, HasSubstr("finalizers"));
  EXPECT_TRUE(run("assert(getmetatable(setmetatable({}, { __metatable = 1 })) == 1)"));
}

TEST_F(StateTest, LibraryFunctionsAreBounded) {
  for (const char* source : {
           "local t = {} for i = 1, 10001 do t[i] = i end table.sort(t)",
           "table.insert(setmetatable({}, { __len = function() return 2^53 end }), 1, 1)",
           "table.remove(setmetatable({}, { __len = function() return 2^53 end }), 1)",
           "table.concat(setmetatable({}, { __index = function() return 'x' end }), '', 1, 2^53)",
           "table.unpack(setmetatable({}, { __len = function() return 2^53 end }))",
           "string.rep('x', 2^40)",
           "string.rep('', 2^40, 'x')",
       }) {
    EXPECT_EQ(run(source).ending, Ending::kFailed) << source;
  }
  EXPECT_TRUE(
      run("assert(string.rep('', 2^40) == '' and ('ab'):rep(2, '-') == 'ab-ab' and ('x'):rep(-1) == '')"));
  EXPECT_TRUE(run("local t = { 3, 1, 2 } table.sort(t) assert(table.concat(t, ',') == '1,2,3')"));
  EXPECT_TRUE(run(
      "local t = { 1 } table.insert(t, 2) table.insert(t, 1, 0) assert(table.remove(t) == 2 and t[1] == 0)"));
}

int throw_exception(lua_State* /*state*/) {
  throw std::runtime_error("of C++");
}

TEST_F(StateTest, AForeignExceptionIsAnErrorOfTheScript) {
  const Outcome outcome = state_.call(&bound<throw_exception>, nullptr, milliseconds(5));
  EXPECT_EQ(outcome.ending, Ending::kFailed);
  EXPECT_EQ(outcome.message, "of C++");
}

// Whatever allocation it is that fails.
TEST(StateMemoryTest, EveryLimitIsKept) {
  Watchdog watchdog;
  bool made = false;
  for (std::size_t limit = 0; limit < 64 * 1024; limit += 64) {
    try {
      State state(limit, watchdog);
      made = true;
      state.run("local t = {} for i = 1, 1000 do t[i] = ('x'):rep(i):gsub('x', 'yy') end", "=script",
                milliseconds(50));
      EXPECT_LE(state.memory(), limit);
    } catch (const std::bad_alloc&) {
      EXPECT_FALSE(made) << limit;
    }
  }
  EXPECT_TRUE(made);
}

}  // namespace
}  // namespace stickmesh::lua
