#include "agent/hooks/table_functions.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cstring>
#include <string>

#include "agent/base/log.h"
#include "agent/base/printable.h"
#include "agent/hooks/values.h"
#include "agent/lua/state.h"
#include "spoe/events/key_conversion.h"
#include "spoe/events/values.h"

namespace stickmesh::hooks {

using lua::text_at;

namespace {

/// The registry's name of what all tables of a script have in common.
constexpr const char* kTable = "stickmesh.table";
constexpr std::size_t kLongestReason = 256;
constexpr lua_Integer kLongestLife = 10LL * 365 * 24 * 3600;

Host& host_of(lua_State* state) {
  return *static_cast<Host*>(lua_touserdata(state, lua_upvalueindex(1)));
}

[[noreturn]] void fail(lua_State* state, const std::string& why) {
  lua_pushlstring(state, why.data(), why.size());
  luaL_where(state, 1);
  lua_insert(state, -2);
  lua_concat(state, 2);
  lua_error(state);
  throw std::logic_error("lua_error has returned");
}

// A table is looked for at each use: an instance may announce it after the script was loaded.
spoe::TableView& view_named(lua_State* state, Host& host, std::string_view name) {
  if (host.loading) fail(state, "tables are for functions, not for while the file is loaded");
  spoe::TableView* const view = host.views.find(name);
  if (view == nullptr) {
    fail(state,
         fmt::format("there is no table '{}': no instance has announced it, and no [[table]] declares it",
                     name));
  }
  return *view;
}

spoe::TableView& view_of(lua_State* state, Host& host) {
  luaL_checkudata(state, 1, kTable);
  lua_getiuservalue(state, 1, 1);
  spoe::TableView& view = view_named(state, host, text_at(state, -1));
  lua_pop(state, 1);
  return view;
}

// What a script has of an address is text; as an address it goes into tables of either family, as in HAProxy.
spoe::Value as_address(const spoe::Value& text, std::array<std::byte, spoe::kIpv6Size>& address) {
  char buffer[INET6_ADDRSTRLEN] = {};
  if (text.bytes.size() >= sizeof buffer) return text;
  std::memcpy(buffer, text.bytes.data(), text.bytes.size());
  if (::inet_pton(AF_INET, buffer, address.data()) == 1) {
    return spoe::Value::ipv4(std::span(address).first<spoe::kIpv4Size>());
  }
  return ::inet_pton(AF_INET6, buffer, address.data()) == 1 ? spoe::Value::ipv6(address) : text;
}

void read_key(lua_State* state, Host& host, const spoe::TableView& view, int index) {
  spoe::Value key = value_at(state, index, "key");
  if (key.type == spoe::DataType::kNull) fail(state, "the key is nil");
  host.key.clear();
  const TableDefinition& definition = view.table().definition();
  std::array<std::byte, spoe::kIpv6Size> address{};
  const bool addresses = definition.key_type == KeyType::kIpv4 || definition.key_type == KeyType::kIpv6;
  if (addresses && key.type == spoe::DataType::kString) key = as_address(key, address);
  const std::string_view why = spoe::append_key(definition, key, host.key);
  if (!why.empty()) {
    fail(state, fmt::format("the keys of table '{}' are of type {}: {}", view.table().name(),
                            key_type_name(definition.key_type), why));
  }
}

enum class How : std::uint8_t { kTrack, kSet };

void read_values(lua_State* state, Host& host, const spoe::TableView& view, int index, How how) {
  luaL_checktype(state, index, LUA_TTABLE);
  host.values.clear();
  host.fields.clear();
  lua_pushnil(state);
  while (lua_next(state, index) != 0) {
    if (lua_type(state, -2) != LUA_TSTRING) fail(state, "a data type's name is wanted, such as { gpc0 = 1 }");
    const char* const name = lua_tostring(state, -2);
    const auto field = view.find(name);
    if (!field) fail(state, fmt::format("table '{}' stores no {}", view.table().name(), name));
    const spoe::Value value = value_at(state, -1, name);
    const auto written = how == How::kTrack ? spoe::counted_value(value, view, view.fields()[*field])
                                            : spoe::written_value(value, view, view.fields()[*field]);
    if (!written) fail(state, fmt::format("{}: {}", name, written.error()));
    host.values.push_back(*written);
    host.fields.push_back(*field);
    lua_pop(state, 1);
  }
  if (host.values.empty()) fail(state, "no data type is named");
}

std::optional<Duration> life_at(lua_State* state, const spoe::TableView& view, int index) {
  if (lua_isnoneornil(state, index)) return std::nullopt;
  const lua_Number seconds = luaL_checknumber(state, index);
  if (!(seconds >= 0.001) || seconds > static_cast<lua_Number>(kLongestLife)) {
    fail(state, "seconds: it is not between 0.001 and ten years");
  }
  const Duration life(static_cast<Duration::rep>(seconds * 1000));
  const Duration expire = view.table().definition().expire;
  if (expire.count() != 0 && life > expire) {
    fail(state, fmt::format("seconds: table '{}' keeps nothing longer than {} s, its expire",
                            view.table().name(), expire.count() / 1000));
  }
  return life;
}

void write(lua_State* state, Host& host, spoe::TableView& view, std::optional<Duration> life) {
  if (view.output()) {
    fail(state, fmt::format("a total is only looked up: '{}' is counted", view.table().name()));
  }
  if (!host.writer.write(view.record(), host.key, host.values, life, host.now)) {
    fail(state, "no room for a new key: raise [agent] max-memory");
  }
}

// Arguments: the table, a key, values by name, and, of `set`, its life.
template <How how>
int change(lua_State* state) {
  Host& host = host_of(state);
  spoe::TableView& view = view_of(state, host);
  read_key(state, host, view, 2);
  read_values(state, host, view, 3, how);
  write(state, host, view, how == How::kSet ? life_at(state, view, 4) : std::nullopt);
  push_totals(state, view, view.table().find(host.key), &host.fields, host.now);
  return 1;
}

int look_up(lua_State* state) {
  Host& host = host_of(state);
  spoe::TableView& view = view_of(state, host);
  read_key(state, host, view, 2);
  const store::EntryId entry = view.table().find(host.key);
  if (view.knows(entry, host.now)) {
    push_totals(state, view, entry, nullptr, host.now);
  } else {
    lua_pushnil(state);
  }
  return 1;
}

int new_table(lua_State* state) {
  text_at(state, 1);
  lua_newuserdatauv(state, 0, 1);
  lua_pushvalue(state, 1);
  lua_setiuservalue(state, -2, 1);
  luaL_setmetatable(state, kTable);
  return 1;
}

// Arguments: a table's name, a key, seconds, a reason.
int block(lua_State* state) {
  Host& host = host_of(state);
  spoe::TableView& view = view_named(state, host, text_at(state, 1));
  read_key(state, host, view, 2);
  const auto field = view.find("gpt0");
  if (!field)
    fail(state,
         fmt::format("table '{}' stores no gpt0, which says that a key is blocked", view.table().name()));
  luaL_checknumber(state, 3);
  const auto life = life_at(state, view, 3);
  const std::string_view reason = lua_isnoneornil(state, 4) ? "no reason given" : text_at(state, 4);
  const spoe::Field& gpt0 = view.fields()[*field];
  host.values.assign(1, {gpt0.column, gpt0.element, pipeline::OwnValue::How::kSet, 1});
  write(state, host, view, life);
  // Keys may be private.
  if (host.may_log()) {
    log::info("a hook blocks a key of table '{}' for {} s: {}", view.table().name(), life->count() / 1000,
              readable(reason, kLongestReason));
  }
  return 0;
}

void add(lua_State* state, Host& host, const char* name, lua_CFunction function) {
  lua_pushlightuserdata(state, &host);
  lua_pushcclosure(state, function, 1);
  lua_setfield(state, -2, name);
}

}  // namespace

void add_table_functions(lua_State* state, Host& host) {
  luaL_newmetatable(state, kTable);
  lua_createtable(state, 0, 3);
  add(state, host, "track", &lua::bound<change<How::kTrack>>);
  add(state, host, "set", &lua::bound<change<How::kSet>>);
  add(state, host, "lookup", &lua::bound<look_up>);
  lua_setfield(state, -2, "__index");
  lua_pushboolean(state, 0);
  lua_setfield(state, -2, "__metatable");
  lua_pop(state, 1);
  add(state, host, "table", &lua::bound<new_table>);
  add(state, host, "block", &lua::bound<block>);
}

}  // namespace stickmesh::hooks
