#pragma once

#include <cstddef>

#include "agent/lua/pattern.h"
#include "agent/lua/state.h"
#include "agent/lua/string_functions.h"

namespace stickmesh::lua {

// What the pattern functions share. Each raises errors as exceptions, as the C++ build of Lua does: what is
// on the C++ stack is destroyed.

/// Of the running function, whose first upvalue is its address; raises when it is used up.
StepBudget& budget_of(lua_State* state);

/// Raises what |matcher| ended with, if it is an error. Whether there is a match.
bool matched(lua_State* state, const PatternMatcher& matcher, PatternMatcher::Outcome outcome);

/// Raises where there is no such capture, or where it is open.
Capture capture_of(lua_State* state, const PatternMatcher& matcher, std::size_t index);
void push_capture(lua_State* state, const PatternMatcher& matcher, std::size_t index);
/// All of them, or the whole match of a pattern without. How many.
int push_captures(lua_State* state, const PatternMatcher& matcher);

/// string.gsub
int substitute(lua_State* state);

}  // namespace stickmesh::lua
