#include "agent/config/runtime_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <exception>
#include <sstream>

#include "agent/base/atomic_file.h"

namespace stickmesh::config {

std::string runtime_path(const std::string& state_dir) {
  return state_dir + "/runtime.toml";
}

Result<Runtime> load_runtime(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0) return Runtime{};
  Runtime runtime;
  try {
    const toml::table file = toml::parse_file(path);
    if (const toml::array* names = file["maintenance"].as_array()) {
      for (const toml::node& name : *names) {
        if (const auto text = name.value<std::string>()) runtime.maintenance.push_back(*text);
      }
    }
  } catch (const std::exception& problem) {
    return refuse(Reason::kSystem, fmt::format("{}: {}; mend it, or remove it and set again what it held",
                                               path, problem.what()));
  }
  return runtime;
}

Result<void> save_runtime(const std::string& path, const Runtime& runtime) {
  toml::array names;
  for (const std::string& name : runtime.maintenance) names.push_back(name);
  std::ostringstream text;
  text << "# Written by stickmeshd: what was changed at run time.\n"
       << toml::table{{"maintenance", std::move(names)}} << '\n';

  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file) return tl::unexpected(file.error());
  if (auto written = file->write(as_bytes(text.str())); !written) return written;
  return file->commit();
}

}  // namespace stickmesh::config
