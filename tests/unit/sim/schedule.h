#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/unit/sim/cluster.h"

namespace stickmesh::sim {

struct Step {
  enum class Kind : std::uint8_t {
    kRequest,
    kOpen,
    kClose,
    kTag,
    kOldRequest,
    kPass,
    kCut,
    kBlock,
    kStall,
    kReload,
    kKill,
    kKillOld,
    kRestartAgent
  };
  Kind kind;
  std::size_t instance;
  std::size_t key;
  std::uint32_t amount;  ///< requests, or milliseconds
  Duration pause;        ///< after it
  std::uint64_t noise;  ///< what the network draws from meanwhile, so that a schedule stays itself when steps
                        ///< are left out
};

/// All of it follows from the seed.
struct Schedule {
  std::uint64_t seed;
  Cluster::Setup setup;
  std::vector<Step> steps;
};

inline constexpr std::size_t kKeys = 5;
std::string_view key_name(std::size_t key);

Schedule make_schedule(std::uint64_t seed);
std::string describe(const Step& step);

}  // namespace stickmesh::sim
