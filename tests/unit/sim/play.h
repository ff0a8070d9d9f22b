#pragma once

#include <string>
#include <vector>

#include "tests/unit/sim/schedule.h"

namespace stickmesh::sim {

/// Plays |schedule| to its end and checks what is left. Returns what was wrong; |trace|, if any, gets a line
/// for each step and each connection.
std::vector<std::string> play(const Schedule& schedule, std::vector<std::string>* trace = nullptr);

/// A schedule that fails with as few of the steps as can be found by leaving out one after the other.
Schedule shrink(Schedule schedule);

}  // namespace stickmesh::sim
