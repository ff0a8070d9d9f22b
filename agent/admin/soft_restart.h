#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agent/base/result.h"

namespace stickmesh::admin {

/// The soft restart, as the command `reload` sees it.
class SoftRestart {
 public:
  SoftRestart() = default;
  SoftRestart(const SoftRestart&) = delete;
  SoftRestart& operator=(const SoftRestart&) = delete;
  virtual ~SoftRestart() = default;

  /// Begins one, and returns its number. An error when one is under way.
  virtual Result<std::uint64_t> begin() = 0;
  /// How it went, in words, or why this process stays in charge; nothing while it is under way.
  virtual std::optional<Result<std::string>> ended(std::uint64_t number) const = 0;
};

}  // namespace stickmesh::admin
