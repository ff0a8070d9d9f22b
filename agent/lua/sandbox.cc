#include "agent/lua/sandbox.h"

#include <initializer_list>

#include "agent/lua/pattern.h"
#include "agent/lua/state.h"

namespace stickmesh::lua {

namespace {

// A table so long is sorted in a few milliseconds; within a call of a C function no script can be stopped.
constexpr lua_Unsigned kLongestTable = 10'000;
constexpr lua_Integer kLongestText = 1 << 20;

void open(lua_State* state, const char* name, lua_CFunction library) {
  luaL_requiref(state, name, library, 1);
  lua_pop(state, 1);
}

void remove(lua_State* state, const char* table, std::initializer_list<const char*> names) {
  lua_getglobal(state, table);
  for (const char* name : names) {
    lua_pushnil(state);
    lua_setfield(state, -2, name);
  }
  lua_pop(state, 1);
}

// Calls the function that is the first upvalue with the arguments of the running one.
int call_original(lua_State* state) {
  const int arguments = lua_gettop(state);
  lua_pushvalue(state, lua_upvalueindex(1));
  lua_insert(state, 1);
  lua_call(state, arguments, LUA_MULTRET);
  return lua_gettop(state);
}

// Puts |replacement|, which has it as its upvalue, in place of |function| of |table|.
void replace(lua_State* state, const char* table, const char* function, lua_CFunction replacement) {
  lua_getglobal(state, table);
  lua_getfield(state, -1, function);
  lua_pushcclosure(state, replacement, 1);
  lua_setfield(state, -2, function);
  lua_pop(state, 1);
}

// A metatable may make a length up, which a C function would count to.
void check_table(lua_State* state) {
  luaL_checktype(state, 1, LUA_TTABLE);
  if (lua_getmetatable(state, 1) != 0) luaL_argerror(state, 1, "a table with a metatable");
  if (lua_rawlen(state, 1) > kLongestTable) luaL_argerror(state, 1, "a table of more than 10000 elements");
}

int with_short_table(lua_State* state) {
  check_table(state);
  return call_original(state);
}

// Texts may be long, and to compare them takes as long, where nothing can stop the script.
int is_less(lua_State* state) {
  auto& steps = *static_cast<StepBudget*>(lua_touserdata(state, lua_upvalueindex(1)));
  const bool texts = lua_type(state, 1) == LUA_TSTRING && lua_type(state, 2) == LUA_TSTRING;
  const lua_Unsigned size = texts ? lua_rawlen(state, 1) + lua_rawlen(state, 2) : 0;
  if (!spend(steps.left, 2 + size)) return luaL_error(state, "the table takes too long to sort");
  lua_pushboolean(state, lua_compare(state, 1, 2, LUA_OPLT));
  return 1;
}

int sort(lua_State* state) {
  check_table(state);
  if (lua_isnoneornil(state, 2)) {
    lua_settop(state, 1);
    lua_pushvalue(state, lua_upvalueindex(2));
  }
  return call_original(state);
}

// The stock one counts to the number of repetitions even of nothing.
int repeat(lua_State* state) {
  const std::size_t size = text_at(state, 1).size();
  const lua_Integer times = luaL_checkinteger(state, 2);
  const std::size_t between = lua_isnoneornil(state, 3) ? 0 : text_at(state, 3).size();
  const auto piece = static_cast<lua_Integer>(size + between);
  if (times <= 0 || piece == 0) {
    lua_pushliteral(state, "");
    return 1;
  }
  if (times > kLongestText / piece) return luaL_error(state, "the result is longer than 1 MB");
  return call_original(state);
}

// A finalizer would run while nothing can stop it.
int set_metatable(lua_State* state) {
  luaL_checktype(state, 1, LUA_TTABLE);
  if (lua_type(state, 2) == LUA_TTABLE) {
    lua_pushliteral(state, "__gc");
    if (lua_rawget(state, 2) != LUA_TNIL) luaL_argerror(state, 2, "finalizers (__gc) are not for hooks");
    lua_pop(state, 1);
  }
  return call_original(state);
}

}  // namespace

void open_sandbox(lua_State* state, StepBudget& steps) {
  open(state, LUA_GNAME, &luaopen_base);
  open(state, LUA_STRLIBNAME, &luaopen_string);
  open(state, LUA_TABLIBNAME, &luaopen_table);
  open(state, LUA_MATHLIBNAME, &luaopen_math);
  open(state, LUA_UTF8LIBNAME, &luaopen_utf8);
  // The handler of xpcall is called before what stops a script has left its hook, and is not stopped itself.
  remove(state, LUA_GNAME,
         {"collectgarbage", "dofile", "load", "loadfile", "print", "require", "warn", "xpcall", "_VERSION"});
  remove(state, LUA_STRLIBNAME, {"dump", "pack", "packsize", "unpack"});
  remove(state, LUA_TABLIBNAME, {"move"});
  remove(state, LUA_MATHLIBNAME, {"randomseed"});
  for (const char* function : {"concat", "insert", "remove", "unpack"}) {
    replace(state, LUA_TABLIBNAME, function, &with_short_table);
  }
  replace(state, LUA_STRLIBNAME, "rep", &repeat);
  replace(state, LUA_GNAME, "setmetatable", &set_metatable);
  lua_getglobal(state, LUA_TABLIBNAME);
  lua_getfield(state, -1, "sort");
  lua_pushlightuserdata(state, &steps);
  lua_pushcclosure(state, &is_less, 1);
  lua_pushcclosure(state, &sort, 2);
  lua_setfield(state, -2, "sort");
  lua_pop(state, 1);
}

}  // namespace stickmesh::lua
