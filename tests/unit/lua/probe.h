#pragma once

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <memory>
#include <string>
#include <string_view>

#include "agent/lua/string_functions.h"

namespace stickmesh::lua {

/// How a pattern function is called, and with what.
struct Call {
  std::string kind;  ///< a function of kProbe
  std::string subject;
  std::string pattern;
  std::string replacement{};
  lua_Integer number = 1;  ///< where to begin, or how much to replace
};

/// Calls a pattern function as scripts do, and says as text what it returns or raises.
inline constexpr const char* kProbe = R"lua(
local find, match, gmatch, gsub = string.find, string.match, string.gmatch, string.gsub
local concat, unpack = table.concat, table.unpack
local names = setmetatable({a = "A", b = false, ab = 12, [1] = "first", [2] = {}},
                           {__index = function(_, key) return key ~= "" and key or nil end})
local function name(...)
  local first, second = ...
  if first == "a" then return nil end
  if first == "b" then return {} end
  if first == "1" then return 7.5 end
  return "<" .. tostring(first) .. tostring(second) .. select("#", ...) .. ">"
end
local function join(...)
  local all = {...}
  for index = 1, select("#", ...) do all[index] = tostring(all[index]) end
  return concat(all, "|", 1, select("#", ...))
end
local calls = {}
function calls.find(s, p, r, n) return join(find(s, p, n)) end
function calls.find_plain(s, p, r, n) return join(find(s, p, n, true)) end
function calls.match(s, p, r, n) return join(match(s, p, n)) end
function calls.gmatch(s, p, r, n)
  local all = {}
  for a, b, c in gmatch(s, p, n) do all[#all + 1] = join(a, b, c) end
  return concat(all, ";")
end
function calls.text(s, p, r) return join(gsub(s, p, r)) end
function calls.some(s, p, r, n) return join(gsub(s, p, r, n)) end
function calls.table(s, p) return join(gsub(s, p, names)) end
function calls.call(s, p) return join(gsub(s, p, name)) end
return function(kind, ...) return join(pcall(calls[kind], ...)) end
)lua";

/// A Lua state with the whole standard library, whose pattern functions are Lua's or ours.
class Probe {
 public:
  explicit Probe(StepBudget* budget = nullptr) : state_(luaL_newstate(), lua_close) {
    luaL_openlibs(state());
    if (budget != nullptr) open_bounded_strings(state(), *budget);
    if (luaL_loadstring(state(), kProbe) == LUA_OK) lua_call(state(), 0, 1);
    probe_ = luaL_ref(state(), LUA_REGISTRYINDEX);
  }

  lua_State* state() { return state_.get(); }

  /// "true|values" or "false|error"
  std::string call(const Call& call) {
    lua_rawgeti(state(), LUA_REGISTRYINDEX, probe_);
    for (const std::string& text : {call.kind, call.subject, call.pattern, call.replacement}) {
      lua_pushlstring(state(), text.data(), text.size());
    }
    lua_pushinteger(state(), call.number);
    return finish(lua_pcall(state(), 5, 1, 0));
  }

  /// What a chunk returns, or the error it ends with.
  std::string run(const std::string& chunk) {
    if (luaL_loadbuffer(state(), chunk.data(), chunk.size(), "=chunk") != LUA_OK) return finish(LUA_OK);
    return finish(lua_pcall(state(), 0, 1, 0));
  }

 private:
  std::string finish(int status) {
    std::size_t size = 0;
    const char* text = luaL_tolstring(state(), -1, &size);
    std::string all = status == LUA_OK ? std::string(text, size) : "error: " + std::string(text, size);
    lua_settop(state(), 0);
    return all;
  }

  std::unique_ptr<lua_State, void (*)(lua_State*)> state_;
  int probe_ = LUA_NOREF;
};

}  // namespace stickmesh::lua
