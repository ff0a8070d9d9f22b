#include "agent/hooks/values.h"

#include <arpa/inet.h>

#include "agent/admin/key_text.h"

namespace stickmesh::hooks {

using spoe::DataType;
using spoe::Value;

namespace {

void push_text(lua_State* state, std::string_view text) {
  lua_pushlstring(state, text.data(), text.size());
}

void push_address(lua_State* state, int family, Bytes address) {
  char text[INET6_ADDRSTRLEN];
  ::inet_ntop(family, address.data(), text, sizeof text);
  lua_pushstring(state, text);
}

}  // namespace

void push_value(lua_State* state, const Value& value) {
  switch (value.type) {
    case DataType::kNull:
      return lua_pushnil(state);
    case DataType::kBool:
      return lua_pushboolean(state, value.number != 0 ? 1 : 0);
    case DataType::kInt32:
    case DataType::kUint32:
    case DataType::kInt64:
    case DataType::kUint64:
      return lua_pushinteger(state, value.signed_number());
    case DataType::kIpv4:
      return push_address(state, AF_INET, value.bytes);
    case DataType::kIpv6:
      return push_address(state, AF_INET6, value.bytes);
    case DataType::kString:
    case DataType::kBinary:
      return push_text(state, value.text());
  }
}

Value value_at(lua_State* state, int index, const char* what) {
  switch (lua_type(state, index)) {
    case LUA_TNIL:
      return Value::null();
    case LUA_TBOOLEAN:
      return Value::boolean(lua_toboolean(state, index) != 0);
    case LUA_TNUMBER: {
      int whole = 0;
      const lua_Integer number = lua_tointegerx(state, index, &whole);
      if (whole == 0) luaL_error(state, "%s: %f is no integer", what, lua_tonumber(state, index));
      return Value::int64(number);
    }
    case LUA_TSTRING: {
      std::size_t size = 0;
      const char* const text = lua_tolstring(state, index, &size);
      return Value::string({text, size});
    }
    default:
      luaL_error(state, "%s: a %s is no value", what, luaL_typename(state, index));
      return Value::null();
  }
}

void push_key(lua_State* state, const store::Table& table, store::EntryId entry) {
  const KeyType type = table.definition().key_type;
  const Bytes key = table.key(entry);
  const bool text = type == KeyType::kString || type == KeyType::kBinary;
  text ? push_text(state, as_text(key)) : push_text(state, admin::key_to_text(type, key));
}

void push_totals(lua_State* state, spoe::TableView& view, store::EntryId entry,
                 const std::vector<std::uint32_t>* of, TimePoint now) {
  const auto& fields = view.fields();
  const std::size_t count = of != nullptr ? of->size() : fields.size();
  lua_createtable(state, 0, static_cast<int>(count));
  for (std::size_t at = 0; at < count; ++at) {
    const spoe::Field& field = fields[of != nullptr ? (*of)[at] : at];
    push_text(state, field.name);
    push_value(state, view.total(entry, field, now));
    lua_rawset(state, -3);
  }
}

}  // namespace stickmesh::hooks
