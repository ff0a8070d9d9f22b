#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <lua.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "agent/lua/string_functions.h"
#include "agent/lua/watchdog.h"

namespace stickmesh::lua {

/// How a piece of Lua code has ended.
enum class Ending : std::uint8_t { kReturned, kFailed, kOutOfTime, kOutOfMemory };

struct Outcome {
  Ending ending = Ending::kReturned;
  std::string message;  ///< "FILE:LINE: reason" of what did not return

  explicit operator bool() const { return ending == Ending::kReturned; }
};

/// A Lua state of its own for one script: it has the functions that compute, and none that reach out of it
/// (no files, processes, sockets, modules, bytecode, debug, coroutines, finalizers). Its memory is bounded,
/// and so is the time of each call. Not to be moved to another thread.
class State {
 public:
  /// |memory|: bytes that it may hold at once. |watchdog| must outlive it. Throws std::bad_alloc.
  State(std::size_t memory, Watchdog& watchdog);

  lua_State* get() const { return state_.get(); }

  /// Compiles |source|, which must be text, and runs it. |name| is what messages call it.
  Outcome run(std::string_view source, const std::string& name, Watchdog::Limit limit);
  /// Calls |function| with |argument| as its only argument, a light userdata. Everything that may fail, and
  /// that is all that allocates, is to be done in it.
  Outcome call(lua_CFunction function, void* argument, Watchdog::Limit limit);

  std::size_t memory() const { return account_->used; }
  std::size_t memory_limit() const { return account_->limit; }

 private:
  struct Account {
    std::size_t limit;
    std::size_t used = 0;
  };
  struct Close {
    void operator()(lua_State* state) const { lua_close(state); }
  };
  static void* allocate(void* account, void* block, std::size_t old_size, std::size_t size);
  void begin(Watchdog::Limit limit);
  Outcome ended(int status);

  Watchdog& watchdog_;
  StepBudget steps_;
  std::unique_ptr<Account> account_;
  std::unique_ptr<lua_State, Close> state_;
};

/// Argument |index|, a string or a number, as text; raises where it is neither. Valid while it is on the
/// stack.
std::string_view text_at(lua_State* state, int index);

/// |function| as Lua can call it: an exception becomes an error of the script.
template <int (*function)(lua_State*)>
int bound(lua_State* state) {
  try {
    return function(state);
  } catch (const std::exception& exception) {
    lua_pushstring(state, exception.what());
  }
  return lua_error(state);
}

}  // namespace stickmesh::lua
