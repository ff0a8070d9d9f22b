#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "agent/store/table.h"

namespace stickmesh::pipeline {

/// The origin of what others have written to Redis for the agents. Its versions are times of Redis itself,
/// so that whoever has read it may tell it, and no agent is home to it.
inline constexpr std::string_view kAcceptedOrigin = "redis";

/// Of what is read at a time since the Unix epoch: a clock of 62 bits of microseconds. Generations are long
/// enough for update ids to be compared.
inline store::Version accepted_version(std::chrono::microseconds time) {
  const auto clock = static_cast<std::uint64_t>(time.count());
  return {static_cast<std::uint32_t>(clock >> 31U), static_cast<std::uint32_t>(clock & 0x7fffffffU)};
}
/// The one that follows |version|.
inline store::Version next_version(const store::Version& version) {
  const std::uint64_t clock = (std::uint64_t{version.generation} << 31U | version.update_id) + 1;
  return accepted_version(std::chrono::microseconds(clock));
}

}  // namespace stickmesh::pipeline
