#include "agent/config/runtime_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <exception>
#include <sstream>

#include "agent/base/atomic_file.h"

namespace stickmesh::config {

namespace {

Runtime::Limit read_limit(const toml::table& entry) {
  Runtime::Limit limit;
  limit.name = entry["name"].value_or(std::string());
  if (const auto above = entry["above"].value<std::int64_t>())
    limit.above = static_cast<std::uint32_t>(*above);
  limit.shadow = entry["shadow"].value_or(false);
  limit.changed_at = static_cast<std::uint64_t>(entry["changed-at"].value_or(std::int64_t{0}));
  return limit;
}

toml::table write_limit(const Runtime::Limit& limit) {
  toml::table entry{{"name", limit.name}, {"changed-at", static_cast<std::int64_t>(limit.changed_at)}};
  if (limit.above) {
    entry.insert("above", static_cast<std::int64_t>(*limit.above));
    entry.insert("shadow", limit.shadow);
  }
  return entry;
}

}  // namespace

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
    if (const toml::array* limits = file["limit"].as_array()) {
      for (const toml::node& limit : *limits) {
        if (const toml::table* entry = limit.as_table()) runtime.limits.push_back(read_limit(*entry));
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
  toml::array limits;
  for (const Runtime::Limit& limit : runtime.limits) limits.push_back(write_limit(limit));
  std::ostringstream text;
  text << "# Written by stickmeshd: what was changed at run time.\n"
       << toml::table{{"maintenance", std::move(names)}, {"limit", std::move(limits)}} << '\n';

  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file) return tl::unexpected(file.error());
  if (auto written = file->write(as_bytes(text.str())); !written) return written;
  return file->commit();
}

}  // namespace stickmesh::config
