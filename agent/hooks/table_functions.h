#pragma once

#include <lua.hpp>

#include "agent/hooks/host.h"

namespace stickmesh::hooks {

/// Adds `table` and `block` to the table on top of the stack, which is the script's `stickmesh`. |host| must
/// outlive the state. What a function of it cannot do raises an error of the script, and has no effect.
void add_table_functions(lua_State* state, Host& host);

}  // namespace stickmesh::hooks
