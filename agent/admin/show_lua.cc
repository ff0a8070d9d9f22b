#include <fmt/format.h>

#include <iterator>

#include "agent/admin/commands.h"
#include "agent/admin/lua_source.h"
#include "agent/admin/words.h"

namespace stickmesh::admin {

std::string Commands::show_lua(TimePoint now) const {
  const auto scripts = lua_ != nullptr ? lua_->scripts(now) : std::vector<LuaScript>{};
  std::string out = fmt::format("Hooks: {}\n", scripts.size());
  for (const LuaScript& script : scripts) {
    fmt::format_to(std::back_inserter(out), "\nFile: {}\nState: {}\n", cell(script.file), script.state);
    for (const auto& [name, number] : script.numbers) {
      fmt::format_to(std::back_inserter(out), "{}: {}\n", name, number);
    }
    if (!script.load_error.empty()) {
      fmt::format_to(std::back_inserter(out), "Not loaded: {}\n", cell(script.load_error));
    }
    if (!script.last_error.empty()) {
      fmt::format_to(std::back_inserter(out), "Last error: {}\n", cell(script.last_error));
    }
    for (const auto& [name, value] : script.metrics) {
      fmt::format_to(std::back_inserter(out), "metric {}: {}\n", cell(name), value);
    }
  }
  return out;
}

}  // namespace stickmesh::admin
