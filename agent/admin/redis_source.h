#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/time.h"

namespace stickmesh::admin {

struct RedisOverview {
  /// As they are shown: "Behind", "17".
  std::vector<std::pair<std::string, std::string>> lines;
  /// Errors by kind, such as "READONLY".
  std::vector<std::pair<std::string, std::uint64_t>> errors;
};

/// The mirror in Redis, as the command `show redis` sees it.
class RedisSource {
 public:
  RedisSource() = default;
  RedisSource(const RedisSource&) = delete;
  RedisSource& operator=(const RedisSource&) = delete;
  virtual ~RedisSource() = default;

  virtual RedisOverview overview(TimePoint now) const = 0;
};

}  // namespace stickmesh::admin
