#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/time.h"

namespace stickmesh::admin {

/// Of a cluster.
struct RedisMaster {
  std::string address;
  std::string state;
  std::size_t slots = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t behind = 0;
  std::uint64_t contributions_behind = 0;
  Duration behind_for{0};
  std::uint64_t written = 0;
};

struct RedisOverview {
  /// As they are shown: "Behind", "17".
  std::vector<std::pair<std::string, std::string>> lines;
  std::vector<RedisMaster> masters{};  ///< none without a cluster
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
