#pragma once

#include "agent/admin/soft_restart.h"

namespace stickmesh::admin {

/// Soft restarts that only a test ends.
class Restarts final : public SoftRestart {
 public:
  Result<std::uint64_t> begin() override { return ++begun; }
  std::optional<Result<std::string>> ended(std::uint64_t) const override { return outcome; }

  std::uint64_t begun = 0;
  std::optional<Result<std::string>> outcome;
};

}  // namespace stickmesh::admin
