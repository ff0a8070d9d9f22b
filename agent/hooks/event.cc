#include "agent/hooks/event.h"

#include "agent/hooks/values.h"
#include "agent/lua/state.h"

namespace stickmesh::hooks {

namespace {

constexpr std::size_t kMostVariables = 64;
constexpr std::size_t kLongestValue = 4096;

Event& event_of(lua_State* state) {
  auto& event = *static_cast<Event*>(lua_touserdata(state, lua_upvalueindex(1)));
  if (!event.open()) luaL_error(state, "the message has been answered already");
  return event;
}

std::string_view name_at(lua_State* state, int index) {
  if (lua_type(state, index) != LUA_TSTRING) luaL_error(state, "a name is wanted");
  std::size_t size = 0;
  const char* const text = lua_tolstring(state, index, &size);
  return {text, size};
}

int read_argument(lua_State* state) {
  const spoe::Value* value = event_of(state).find(name_at(state, 2));
  push_value(state, value != nullptr ? *value : spoe::Value::null());
  return 1;
}

int refuse_argument(lua_State* state) {
  return luaL_error(state, "arguments are read only: variables are set by answer.NAME = VALUE");
}

int set_variable(lua_State* state) {
  Event& event = event_of(state);
  const std::string_view name = name_at(state, 2);
  const spoe::Value value = value_at(state, 3, lua_tostring(state, 2));
  if (const std::string_view why = event.set(name, value); !why.empty()) {
    return luaL_error(state, "answer.%s: %s", lua_tostring(state, 2), std::string(why).c_str());
  }
  return 0;
}

int refuse_reading(lua_State* state) {
  return luaL_error(state, "variables are only set: arguments are read by event.NAME");
}

void push(lua_State* state, Event& event, lua_CFunction read, lua_CFunction write) {
  lua_newuserdatauv(state, 0, 0);
  lua_createtable(state, 0, 3);
  lua_pushlightuserdata(state, &event);
  lua_pushcclosure(state, read, 1);
  lua_setfield(state, -2, "__index");
  lua_pushlightuserdata(state, &event);
  lua_pushcclosure(state, write, 1);
  lua_setfield(state, -2, "__newindex");
  lua_pushboolean(state, 0);
  lua_setfield(state, -2, "__metatable");
  lua_setmetatable(state, -2);
}

}  // namespace

void Event::begin(std::string_view prefix, std::span<const spoe::Argument> arguments) {
  open_ = true;
  prefix_ = prefix;
  arguments_ = arguments;
  variables_.clear();
  text_.clear();
}

void Event::answer(spoe::Answer& answer) const {
  for (const Variable& variable : variables_) {
    const std::string_view name = std::string_view(text_).substr(variable.name, variable.name_size);
    if (variable.type == spoe::DataType::kNull) {
      answer.unset(spoe::Scope::kTransaction, name);
      continue;
    }
    const std::string_view text = std::string_view(text_).substr(variable.value, variable.value_size);
    answer.set(spoe::Scope::kTransaction, name, {variable.type, variable.number, as_bytes(text)});
  }
}

const spoe::Value* Event::find(std::string_view argument) const {
  for (const spoe::Argument& candidate : arguments_) {
    if (candidate.name == argument) return &candidate.value;
  }
  return nullptr;
}

std::string_view Event::set(std::string_view name, const spoe::Value& value) {
  if (variables_.size() == kMostVariables) return "more than 64 variables";
  if (value.bytes.size() > kLongestValue) return "the text is longer than 4096 bytes";
  if (name == "verdict" && value.text() != "allow" && value.text() != "deny") {
    return "a verdict is \"allow\" or \"deny\"";
  }
  Variable variable;
  variable.name = text_.size();
  text_.append(prefix_).append(name);
  variable.name_size = text_.size() - variable.name;
  if (!spoe::is_variable_name(std::string_view(text_).substr(variable.name))) {
    return "a variable's name has letters, digits, '_' and '.', at most 49 with the use";
  }
  variable.type = value.type;
  variable.number = value.number;
  variable.value = text_.size();
  variable.value_size = value.bytes.size();
  text_.append(value.text());
  variables_.push_back(variable);
  return {};
}

void push_event(lua_State* state, Event& event) {
  push(state, event, &lua::bound<read_argument>, &refuse_argument);
}

void push_answer(lua_State* state, Event& event) {
  push(state, event, &refuse_reading, &lua::bound<set_variable>);
}

}  // namespace stickmesh::hooks
