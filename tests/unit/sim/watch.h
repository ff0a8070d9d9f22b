#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/unit/sim/schedule.h"

namespace stickmesh::sim {

/// What must hold all the time, looked at again and again: what an instance had counted and the agent held
/// does not become less while a new process of it has not yet said all that it has; and a process that the
/// agent has taught starts from there.
class Watch {
 public:
  explicit Watch(Cluster& cluster) : cluster_(cluster), instances_(cluster.size()) {}

  void look();
  /// HAProxy has dropped the entry: it may count from nothing again.
  void forget(std::size_t instance, std::size_t key) { instances_[instance].least[key].reset(); }
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  struct Counted {
    std::uint64_t requests;
    TimePoint end;  ///< of the entry, if it is not counted again
  };
  struct Instance {
    /// What the last process that knew all it would ever know had counted, as far as the agent had heard.
    std::array<std::optional<Counted>, kKeys> least;
  };

  void look_at(std::size_t instance, std::size_t key);
  std::optional<Counted> held(std::size_t instance, std::size_t key);

  Cluster& cluster_;
  std::vector<Instance> instances_;
  std::uint64_t agent_pid_ = 0;
  std::vector<std::string> problems_;
};

}  // namespace stickmesh::sim
