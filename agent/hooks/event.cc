#include "agent/hooks/event.h"

#include <algorithm>

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

int read_argument(lua_State* state) {
  const spoe::Value* value = event_of(state).find(lua::text_at(state, 2));
  push_value(state, value != nullptr ? *value : spoe::Value::null());
  return 1;
}

int refuse_argument(lua_State* state) {
  return luaL_error(state, "arguments are read only: variables are set by answer.NAME = VALUE");
}

int set_variable(lua_State* state) {
  Event& event = event_of(state);
  const std::string_view name = lua::text_at(state, 2);
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

bool Event::answer(spoe::Answer& answer) const {
  bool all = true;
  // A client that can make other variables long must not take the verdict's room.
  for (const bool first : {true, false}) {
    for (const Variable& variable : variables_) {
      if (variable.first == first) all = write(variable, text_, answer) && all;
    }
  }
  return all;
}

bool Event::write(const Variable& variable, std::string_view text, spoe::Answer& answer) {
  const std::string_view name = text.substr(variable.name, variable.name_size);
  if (variable.type == spoe::DataType::kNull) return answer.unset(spoe::Scope::kTransaction, name);
  const Bytes value = as_bytes(text.substr(variable.value, variable.value_size));
  return answer.set(spoe::Scope::kTransaction, name, {variable.type, variable.number, value});
}

const spoe::Value* Event::find(std::string_view argument) const {
  for (const spoe::Argument& candidate : arguments_) {
    if (candidate.name == argument) return &candidate.value;
  }
  return nullptr;
}

std::string_view Event::set(std::string_view name, const spoe::Value& value) {
  const bool is_verdict = name == "verdict";
  const bool is_wait = name == "retry_after";
  if (value.bytes.size() > kLongestValue) return "the text is longer than 4096 bytes";
  if (value.type != spoe::DataType::kNull) {
    if (is_verdict && value.text() != "allow" && value.text() != "deny")
      return "a verdict is \"allow\" or \"deny\"";
    if (is_wait && (!value.is_integer() || value.signed_number() < 0)) return "it is no number of seconds";
  }
  if (name.size() > spoe::kMaxVariableName || prefix_.size() + name.size() > spoe::kMaxVariableName ||
      !spoe::is_variable_name(name)) {
    return "a variable's name has letters, digits, '_' and '.', at most 49 with the use";
  }
  if (prefix_.empty() && name == "ok") return "that is what the agent itself says";
  const std::string_view text = text_;
  const auto known = std::find_if(variables_.begin(), variables_.end(), [&](const Variable& variable) {
    return text.substr(variable.name, variable.name_size).substr(prefix_.size()) == name;
  });
  if (known == variables_.end() && variables_.size() == kMostVariables) return "more than 64 variables";
  Variable& variable = known == variables_.end() ? variables_.emplace_back() : *known;
  if (variable.name_size == 0) {
    variable.name = text_.size();
    text_.append(prefix_).append(name);
    variable.name_size = prefix_.size() + name.size();
    variable.first = is_verdict || is_wait || name == "reason";
  }
  variable.type = value.type;
  variable.number = value.number;
  // In the place of the former value, if that has the room: a loop costs no memory.
  if (value.bytes.size() > variable.value_room) {
    variable.value = text_.size();
    variable.value_room = value.bytes.size();
    text_.append(value.text());
  } else {
    std::copy_n(value.text().begin(), value.bytes.size(),
                text_.begin() + static_cast<std::ptrdiff_t>(variable.value));
  }
  variable.value_size = value.bytes.size();
  return {};
}

void push_event(lua_State* state, Event& event) {
  push(state, event, &lua::bound<read_argument>, &refuse_argument);
}

void push_answer(lua_State* state, Event& event) {
  push(state, event, &refuse_reading, &lua::bound<set_variable>);
}

}  // namespace stickmesh::hooks
