#include "agent/hooks/api.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <chrono>
#include <ctime>

#include "agent/base/log.h"
#include "agent/base/printable.h"
#include "spoe/events/uses.h"

namespace stickmesh::hooks {

using lua::text_at;

namespace {

constexpr std::size_t kMostFunctions = 1000;  // of one script
constexpr std::size_t kMostMetrics = 100;     // names may come from outside
constexpr std::size_t kLongestName = 64;
constexpr std::size_t kLongestLine = 1024;

}  // namespace

Script& Script::Api::loading_script(lua_State* state) {
  Script& script = script_of(state);
  if (!script.loading_) luaL_error(state, "functions are registered while the file is loaded, not later");
  const std::size_t functions = script.messages_.size() + script.updates_.size() + script.thresholds_.size() +
                                script.on_peer_.size() + script.timers_.size();
  if (functions >= kMostFunctions) luaL_error(state, "more than 1000 functions");
  return script;
}

Function Script::Api::function_at(lua_State* state, int index) {
  luaL_checktype(state, index, LUA_TFUNCTION);
  lua_pushvalue(state, index);
  return luaL_ref(state, LUA_REGISTRYINDEX);
}

int Script::Api::on_message(lua_State* state) {
  Script& script = loading_script(state);
  const std::string name(text_at(state, 1));
  const spoe::Use use(name);
  if (use.kind() != spoe::Kind::kOther) {
    return luaL_error(state, "'%s' is built in: a message of another name goes to a hook", name.c_str());
  }
  if (!script.messages_.try_emplace(name, function_at(state, 2)).second) {
    return luaL_error(state, "'%s' has a function already", name.c_str());
  }
  return 0;
}

int Script::Api::on_update(lua_State* state) {
  Script& script = loading_script(state);
  std::string table(text_at(state, 1));
  script.updates_.push_back({std::move(table), function_at(state, 2)});
  return 0;
}

int Script::Api::on_threshold(lua_State* state) {
  Script& script = loading_script(state);
  std::string table(text_at(state, 1));
  std::string type(text_at(state, 2));
  const lua_Integer above = luaL_checkinteger(state, 3);
  script.thresholds_.push_back({std::move(table), std::move(type), above, function_at(state, 4)});
  return 0;
}

int Script::Api::on_peer(lua_State* state) {
  loading_script(state).on_peer_.push_back(function_at(state, 1));
  return 0;
}

int Script::Api::every(lua_State* state) {
  Script& script = loading_script(state);
  const lua_Number seconds = luaL_checknumber(state, 1);
  luaL_argcheck(state, seconds >= 0.01 && seconds <= 86400, 1, "not between 0.01 and 86400 seconds");
  const Duration interval(static_cast<Duration::rep>(seconds * 1000));
  script.timers_.push_back({interval, function_at(state, 2)});
  return 0;
}

int Script::Api::metric(lua_State* state) {
  Script& script = script_of(state);
  const std::string_view name = text_at(state, 1);
  const lua_Integer more = luaL_optinteger(state, 2, 1);
  luaL_argcheck(state, !name.empty() && name.size() <= kLongestName, 1, "a name has 1 to 64 characters");
  auto counter = script.metrics_.find(name);
  if (counter == script.metrics_.end()) {
    const bool room = script.metrics_.size() < kMostMetrics;
    counter = script.metrics_.try_emplace(room ? std::string(name) : "metrics left out", 0).first;
  }
  counter->second = static_cast<std::int64_t>(static_cast<std::uint64_t>(counter->second) +
                                              static_cast<std::uint64_t>(more));
  return 0;
}

int Script::Api::time(lua_State* state) {
  const auto since = script_of(state).host_.hub.setup().wall_clock().time_since_epoch();
  lua_pushinteger(state, std::chrono::duration_cast<std::chrono::seconds>(since).count());
  return 1;
}

int Script::Api::date(lua_State* state) {
  const char* const format = luaL_checkstring(state, 1);
  const auto now = std::chrono::system_clock::to_time_t(script_of(state).host_.hub.setup().wall_clock());
  const auto when = static_cast<std::time_t>(luaL_optinteger(state, 2, now));
  std::tm parts{};
  luaL_argcheck(state, ::gmtime_r(&when, &parts) != nullptr, 2, "a time that has no date");
  char text[128];
  const std::size_t size = std::strftime(text, sizeof text, format, &parts);
  luaL_argcheck(state, size != 0, 1, "the result is empty, or longer than 127 bytes");
  lua_pushlstring(state, text, size);
  return 1;
}

// The same at all agents, and after a restart: it may be a table's key.
int Script::Api::hash(lua_State* state) {
  const std::string_view text = text_at(state, 1);
  char digits[17];
  *fmt::format_to(digits, "{:016x}", XXH3_64bits(text.data(), text.size())) = '\0';
  lua_pushlstring(state, digits, 16);
  return 1;
}

int Script::Api::ready(lua_State* state) {
  const pipeline::Hub& hub = script_of(state).host_.hub;
  lua_pushboolean(state, hub.learned() && !hub.isolated() ? 1 : 0);
  return 1;
}

template <log::Level level>
int Script::Api::write_log(lua_State* state) {
  Script& script = script_of(state);
  if (!log::enabled(level)) return 0;
  if (!script.host_.may_log()) {
    ++script.metrics_.try_emplace("log lines left out", 0).first->second;
    return 0;
  }
  std::size_t size = 0;
  const char* const text = luaL_tolstring(state, 1, &size);
  const std::string_view shown(text, std::min(size, kLongestLine));
  luaL_where(state, 1);
  log::write(level, fmt::format("hook {}{}", lua_tostring(state, -1), readable(shown, kLongestLine)));
  return 0;
}

void Script::Api::open(lua_State* state) {
  static constexpr luaL_Reg kFunctions[] = {
      {"on_message", &lua::bound<on_message>},
      {"on_update", &lua::bound<on_update>},
      {"on_threshold", &lua::bound<on_threshold>},
      {"on_peer", &lua::bound<on_peer>},
      {"every", &lua::bound<every>},
      {"metric", &lua::bound<metric>},
      {"time", &lua::bound<time>},
      {"date", &lua::bound<date>},
      {"hash", &lua::bound<hash>},
      {"ready", &lua::bound<ready>},
      {nullptr, nullptr},
  };
  static constexpr luaL_Reg kLog[] = {
      {"debug", &lua::bound<write_log<log::Level::kDebug>>},
      {"info", &lua::bound<write_log<log::Level::kInfo>>},
      {"notice", &lua::bound<write_log<log::Level::kNotice>>},
      {"warning", &lua::bound<write_log<log::Level::kWarning>>},
      {"error", &lua::bound<write_log<log::Level::kError>>},
      {nullptr, nullptr},
  };
  luaL_newlib(state, kFunctions);
  luaL_newlib(state, kLog);
  lua_setfield(state, -2, "log");
  lua_setglobal(state, "stickmesh");
}

}  // namespace stickmesh::hooks
