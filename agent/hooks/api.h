#pragma once

#include <lua.hpp>

#include "agent/base/log.h"
#include "agent/hooks/script.h"

namespace stickmesh::hooks {

/// What a script may call besides tables: it registers functions, logs, counts, and asks for the time.
struct Script::Api {
  /// Makes the global `stickmesh`; the state's extra space must point to its script. In protected mode.
  static void open(lua_State* state);

 private:
  static Script& script_of(lua_State* state) { return **static_cast<Script**>(lua_getextraspace(state)); }
  static Script& loading_script(lua_State* state);
  static Function function_at(lua_State* state, int index);

  static int on_message(lua_State* state);
  static int on_update(lua_State* state);
  static int on_threshold(lua_State* state);
  static int on_peer(lua_State* state);
  static int every(lua_State* state);
  static int metric(lua_State* state);
  static int time(lua_State* state);
  static int date(lua_State* state);
  static int hash(lua_State* state);
  static int ready(lua_State* state);
  template <log::Level level>
  static int write_log(lua_State* state);
};

}  // namespace stickmesh::hooks
