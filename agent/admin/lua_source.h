#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/time.h"

namespace stickmesh::admin {

struct LuaScript {
  std::string file;
  std::string state;  ///< in words
  std::vector<std::pair<std::string, std::uint64_t>>
      numbers;             ///< as they are shown; the same for all scripts
  std::string load_error;  ///< why the file as it is now is not in use; empty when it is
  std::string last_error;
  std::vector<std::pair<std::string, std::int64_t>> metrics;  ///< of the script's own
};

/// The hooks, as the command `show lua` sees them.
class LuaSource {
 public:
  LuaSource() = default;
  LuaSource(const LuaSource&) = delete;
  LuaSource& operator=(const LuaSource&) = delete;
  virtual ~LuaSource() = default;

  virtual std::vector<LuaScript> scripts(TimePoint now) const = 0;
};

}  // namespace stickmesh::admin
