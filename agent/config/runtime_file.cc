#include "agent/config/runtime_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <toml++/toml.h>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <sstream>
#include <string_view>

namespace stickmesh::config {

namespace {

tl::unexpected<Error> failed(std::string_view what, const std::string& path, int error) {
  return refuse(Reason::kSystem,
                fmt::format("{} {}: {}; check [agent] state-dir", what, path, std::strerror(error)));
}

Result<void> write_and_sync(int file, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t size = ::write(file, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return failed("cannot write", path, errno);
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  if (::fsync(file) != 0) return failed("cannot write", path, errno);
  return {};
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

  const std::string fresh = path + ".new";
  const int file = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (file < 0) return failed("cannot write", fresh, errno);
  Result<void> written = write_and_sync(file, text.str(), fresh);
  if (::close(file) != 0 && written) written = failed("cannot write", fresh, errno);
  if (written && std::rename(fresh.c_str(), path.c_str()) != 0)
    written = failed("cannot replace", path, errno);
  if (!written) ::unlink(fresh.c_str());
  return written;
}

}  // namespace stickmesh::config
