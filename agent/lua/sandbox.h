#pragma once

#include <lua.hpp>

#include "agent/lua/string_functions.h"

namespace stickmesh::lua {

/// Gives |state|, which is new, the functions of Lua's library that only compute, each of them so bounded
/// that it returns to where the script can be stopped: `table` functions take no table with a metatable and
/// none that is very long, `setmetatable` no finalizer. Without: io, os, package, require, debug, coroutine,
/// load, loadfile, dofile, xpcall, collectgarbage, print, string.dump, pack and unpack of strings,
/// table.move, math.randomseed. |steps| bounds what table.sort compares, and must outlive
/// |state|. To be called in protected mode.
void open_sandbox(lua_State* state, StepBudget& steps);

}  // namespace stickmesh::lua
