#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/pipeline/hub.h"
#include "agent/redis/walk.h"
#include "agent/snapshot/restoration.h"

namespace stickmesh::redis {

/// Lays what the mirror has kept of each origin over what the agent has, by version. Each value at a key
/// PREFIX:TABLE@ORIGIN:KEY is a snapshot of one contribution. What is none is counted, and left where it is.
class Restore {
 public:
  /// |hub| must outlive it; instances and other agents are best not there yet.
  Restore(pipeline::Hub& hub, std::string_view prefix, TimePoint now);

  /// Over the keys of one server; of a cluster, each master needs one. It must not outlive this.
  Walk walk();

  struct Counts {
    snapshot::Restoration::Counts contributions;
    std::uint64_t damaged = 0;
  };
  /// Ends it, whether all were read or not.
  Counts finish();

 private:
  bool wanted(std::string_view key) const;
  void take(const std::string& key, const Reply& value, TimePoint now);

  pipeline::Hub& hub_;
  const std::string prefix_;  ///< with the colon behind it
  snapshot::Restoration restoration_;
  std::uint64_t damaged_ = 0;
};

}  // namespace stickmesh::redis
