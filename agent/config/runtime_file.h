#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/result.h"

namespace stickmesh::config {

/// What operators have changed at run time and a restart keeps.
struct Runtime {
  struct Limit {
    std::string name;
    /// What holds in place of the config; nothing: the config, as another agent may not know yet.
    std::optional<std::uint32_t> above;
    bool shadow = false;
    std::uint64_t changed_at = 0;  ///< Unix milliseconds

    bool operator==(const Limit&) const = default;
  };

  std::vector<std::string> maintenance;  ///< peers
  std::vector<Limit> limits;             ///< those that were ever changed

  bool operator==(const Runtime&) const = default;
};

/// The file of it in the state directory.
std::string runtime_path(const std::string& state_dir);
/// No file is an empty one. An error names the file and what to do.
Result<Runtime> load_runtime(const std::string& path);
/// Replaces the file as a whole, so that a crash leaves the old one or the new one.
Result<void> save_runtime(const std::string& path, const Runtime& runtime);

}  // namespace stickmesh::config
