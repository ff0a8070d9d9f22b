#pragma once

#include <array>
#include <string>
#include <vector>

#include "tests/unit/sim/schedule.h"

namespace stickmesh::sim {

/// What happened in a schedule, as far as its end depends on it beyond what the instances' own tables say.
struct Ledger {
  struct Key {
    TimePoint touched{};    ///< when this instance last counted it
    std::uint64_t pid = 0;  ///< its process that did
    TimePoint evicted{};    ///< when it last made room for another: HAProxy tells nobody
    TimePoint pushed{};     ///< when it was last told of as if it were new
    TimePoint revived{};    ///< when that was past its end
  };
  explicit Ledger(std::size_t instances) : keys(instances) {}

  std::vector<std::array<Key, kKeys>> keys;
};

/// What is wrong with a cluster that has settled: a line for each difference between what each instance has
/// itself, what the agent holds and what each instance was told. The oracle is the instances' own tables:
/// what the protocol loses (counts between an instance's lesson and ours, what an old process counts after
/// its lesson) is lost there too.
std::vector<std::string> check(Cluster& cluster, const Ledger& ledger);

}  // namespace stickmesh::sim
