#include "agent/lua/state.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "agent/base/printable.h"
#include "agent/lua/sandbox.h"

namespace stickmesh::lua {

namespace {

/// What a step of a pattern takes at most, on an old machine.
constexpr std::chrono::nanoseconds kStep(4);
/// It may be made of what clients send.
constexpr std::size_t kLongestMessage = 1024;

}  // namespace

State::State(std::size_t memory, Watchdog& watchdog)
    : watchdog_(watchdog),
      account_(std::make_unique<Account>(Account{memory})),
      state_(lua_newstate(&State::allocate, account_.get())) {
  if (state_ == nullptr) throw std::bad_alloc();
  lua_pushcfunction(get(), [](lua_State* state) {
    auto& steps = *static_cast<StepBudget*>(lua_touserdata(state, 1));
    open_sandbox(state, steps);
    open_bounded_strings(state, steps);
    return 0;
  });
  lua_pushlightuserdata(get(), &steps_);
  if (lua_pcall(get(), 1, 0, 0) != LUA_OK) throw std::bad_alloc();
}

void* State::allocate(void* account, void* block, std::size_t old_size, std::size_t size) {
  Account& of = *static_cast<Account*>(account);
  // For a new block Lua says what it is for in place of a size.
  if (block == nullptr) old_size = 0;
  if (size == 0) {
    std::free(block);
    of.used -= old_size;
    return nullptr;
  }
  if (size > old_size && size - old_size > of.limit - std::min(of.limit, of.used)) return nullptr;
  void* const grown = std::realloc(block, size);
  if (grown != nullptr) of.used = of.used - old_size + size;
  return grown;
}

void State::begin(Watchdog::Limit limit) {
  steps_.left = static_cast<std::uint64_t>(limit / kStep);
  watchdog_.begin(get(), limit);
}

Outcome State::run(std::string_view source, const std::string& name, Watchdog::Limit limit) {
  begin(limit);
  const int loaded = luaL_loadbufferx(get(), source.data(), source.size(), name.c_str(), "t");
  if (loaded != LUA_OK) return ended(loaded);
  const int status = lua_pcall(get(), 0, 0, 0);
  return ended(status);
}

Outcome State::call(lua_CFunction function, void* argument, Watchdog::Limit limit) {
  lua_pushcfunction(get(), function);
  lua_pushlightuserdata(get(), argument);
  begin(limit);
  const int status = lua_pcall(get(), 1, 0, 0);
  return ended(status);
}

Outcome State::ended(int status) {
  const bool stopped = watchdog_.end();
  // What was stopped with its last instruction has returned all the same.
  if (status == LUA_OK) return {};
  Outcome outcome{stopped || steps_.left == 0 ? Ending::kOutOfTime
                  : status == LUA_ERRMEM      ? Ending::kOutOfMemory
                                              : Ending::kFailed,
                  {}};
  if (lua_type(get(), -1) == LUA_TSTRING) {
    std::size_t size = 0;
    const char* const text = lua_tolstring(get(), -1, &size);
    outcome.message = readable({text, size}, kLongestMessage);
  } else {
    outcome.message.assign("an error that is no text");
  }
  lua_settop(get(), 0);
  return outcome;
}

std::string_view text_at(lua_State* state, int index) {
  std::size_t size = 0;
  const char* const text = luaL_checklstring(state, index, &size);
  return {text, size};
}

}  // namespace stickmesh::lua
