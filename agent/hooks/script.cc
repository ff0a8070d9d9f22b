#include "agent/hooks/script.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "agent/hooks/api.h"
#include "agent/hooks/table_functions.h"
#include "agent/hooks/values.h"

namespace stickmesh::hooks {

namespace {

constexpr std::size_t kLargestFile = std::size_t{1} << 20;

Result<std::string> read_file(const std::string& path) {
  std::error_code error;
  if (std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error)) {
    return refuse(Reason::kHook, fmt::format("{}: it is no file", path));
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) return refuse(Reason::kSystem, fmt::format("{}: {}", path, std::strerror(errno)));
  std::ostringstream out;
  out << in.rdbuf();
  if (in.bad()) return refuse(Reason::kSystem, fmt::format("{}: it cannot be read", path));
  std::string text = std::move(out).str();
  if (text.size() > kLargestFile) return refuse(Reason::kHook, fmt::format("{}: larger than 1 MB", path));
  return text;
}

}  // namespace

Result<std::unique_ptr<Script>> Script::load(const std::string& file, const Limits& limits,
                                             lua::Watchdog::Limit load_time, Host& host, Metrics& metrics) {
  const auto source = read_file(file);
  if (!source) return tl::unexpected(source.error());
  std::unique_ptr<Script> script(new Script(limits, host, metrics));
  Script* const self = script.get();
  const auto prepare = [](lua_State* state) {
    auto& made = *static_cast<Script*>(lua_touserdata(state, 1));
    *static_cast<Script**>(lua_getextraspace(state)) = &made;
    Api::open(state);
    lua_getglobal(state, "stickmesh");
    add_table_functions(state, made.host_);
    push_event(state, made.event_);
    made.event_object_ = luaL_ref(state, LUA_REGISTRYINDEX);
    push_answer(state, made.event_);
    made.answer_object_ = luaL_ref(state, LUA_REGISTRYINDEX);
    return 0;
  };
  host.loading = true;
  lua::Outcome outcome = self->state_.call(prepare, self, load_time);
  if (outcome) outcome = self->state_.run(*source, "@" + file, load_time);
  host.loading = false;
  if (!outcome) return refuse(Reason::kHook, outcome.message);
  self->loading_ = false;
  return script;
}

const Function* Script::on_message(std::string_view message) const {
  auto found = messages_.find(message);
  if (found == messages_.end()) found = messages_.find(message.substr(0, message.find('-')));
  return found == messages_.end() ? nullptr : &found->second;
}

// All that allocates is done by |work|, in protected mode.
template <typename Do>
lua::Outcome Script::call(const Do& work) {
  const auto function = [](lua_State* state) {
    (*static_cast<const Do*>(lua_touserdata(state, 1)))(state);
    return 0;
  };
  return state_.call(function, const_cast<Do*>(&work), limits_.call_time);
}

lua::Outcome Script::handle(Function function, std::string_view message, std::string_view prefix,
                            std::span<const spoe::Argument> arguments) {
  event_.begin(prefix, arguments);
  lua::Outcome outcome = call([&](lua_State* state) {
    lua_rawgeti(state, LUA_REGISTRYINDEX, function);
    lua_rawgeti(state, LUA_REGISTRYINDEX, event_object_);
    lua_rawgeti(state, LUA_REGISTRYINDEX, answer_object_);
    lua_pushlstring(state, message.data(), message.size());
    lua_call(state, 3, 0);
  });
  event_.end();
  return outcome;
}

lua::Outcome Script::tell_entry(Function function, spoe::TableView& view, store::EntryId entry) {
  return call([&](lua_State* state) {
    lua_rawgeti(state, LUA_REGISTRYINDEX, function);
    push_key(state, view.table(), entry);
    push_totals(state, view, entry, nullptr, host_.now);
    lua_call(state, 2, 0);
  });
}

lua::Outcome Script::tell_peer(Function function, const std::string& name, bool up) {
  return call([&](lua_State* state) {
    lua_rawgeti(state, LUA_REGISTRYINDEX, function);
    lua_pushlstring(state, name.data(), name.size());
    lua_pushboolean(state, up ? 1 : 0);
    lua_call(state, 2, 0);
  });
}

lua::Outcome Script::tick(Function function) {
  return call([&](lua_State* state) {
    lua_rawgeti(state, LUA_REGISTRYINDEX, function);
    lua_call(state, 0, 0);
  });
}

}  // namespace stickmesh::hooks
