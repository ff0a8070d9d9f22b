#pragma once

#include <cstdint>

struct lua_State;

namespace stickmesh::lua {

/// How much the pattern functions of one state may still do, in steps of PatternMatcher, some nanoseconds
/// each. Who calls into the state sets it before. At 0 it is used up: the call that did so raises "pattern
/// too complex", and so does each later one, or a script would go on after pcall.
struct StepBudget {
  std::uint64_t left = 0;
};

/// Puts find, match, gmatch and gsub that obey |budget| in place of those of |state|'s string library, which
/// must be open; all else about them is as in Lua 5.4. |budget| must outlive |state|. Scripts must not have
/// the debug library, which could reach where the functions keep its address.
void open_bounded_strings(lua_State* state, StepBudget& budget);

}  // namespace stickmesh::lua
