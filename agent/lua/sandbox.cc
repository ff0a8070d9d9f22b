#include "agent/lua/sandbox.h"

#include <initializer_list>
#include <limits>

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

// A metatable may make a length up, which a C function would count to.
int with_short_table(lua_State* state) {
  luaL_checktype(state, 1, LUA_TTABLE);
  if (lua_getmetatable(state, 1) != 0) luaL_argerror(state, 1, "a table with a metatable");
  if (lua_rawlen(state, 1) > kLongestTable) luaL_argerror(state, 1, "a table of more than 10000 elements");
  const int arguments = lua_gettop(state);
  lua_pushvalue(state, lua_upvalueindex(1));
  lua_insert(state, 1);
  lua_call(state, arguments, LUA_MULTRET);
  return lua_gettop(state);
}

// |function| of |table|, if its first argument is such a table.
void bound_table(lua_State* state, const char* function) {
  lua_getglobal(state, "table");
  lua_getfield(state, -1, function);
  lua_pushcclosure(state, &with_short_table, 1);
  lua_setfield(state, -2, function);
  lua_pop(state, 1);
}

// The stock one counts to the number of repetitions even of nothing.
int repeat(lua_State* state) {
  std::size_t size = 0, between = 0;
  luaL_checklstring(state, 1, &size);
  const lua_Integer times = luaL_checkinteger(state, 2);
  luaL_optlstring(state, 3, "", &between);
  const auto piece = static_cast<lua_Integer>(size + between);
  if (times <= 0 || piece == 0) {
    lua_pushliteral(state, "");
    return 1;
  }
  if (times > kLongestText / piece) return luaL_error(state, "the result is longer than 1 MB");
  lua_pushvalue(state, lua_upvalueindex(1));
  lua_insert(state, 1);
  lua_call(state, lua_gettop(state) - 1, 1);
  return 1;
}

void bound_repeat(lua_State* state) {
  lua_getglobal(state, "string");
  lua_getfield(state, -1, "rep");
  lua_pushcclosure(state, &repeat, 1);
  lua_setfield(state, -2, "rep");
  lua_pop(state, 1);
}

// A finalizer would run while nothing can stop it.
int set_metatable(lua_State* state) {
  luaL_checktype(state, 1, LUA_TTABLE);
  if (lua_type(state, 2) == LUA_TTABLE) {
    lua_pushliteral(state, "__gc");
    if (lua_rawget(state, 2) != LUA_TNIL) luaL_argerror(state, 2, "finalizers (__gc) are not for hooks");
    lua_pop(state, 1);
  }
  const int arguments = lua_gettop(state);
  lua_pushvalue(state, lua_upvalueindex(1));
  lua_insert(state, 1);
  lua_call(state, arguments, 1);
  return 1;
}

}  // namespace

void open_sandbox(lua_State* state) {
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
  for (const char* function : {"concat", "insert", "remove", "sort", "unpack"}) bound_table(state, function);
  bound_repeat(state);
  lua_getglobal(state, "setmetatable");
  lua_pushcclosure(state, &set_metatable, 1);
  lua_setglobal(state, "setmetatable");
}

}  // namespace stickmesh::lua
