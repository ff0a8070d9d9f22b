#pragma once

#include <chrono>

namespace stickmesh {

/// The daemon's only clock: monotonic, never adjusted, in the milliseconds in which the peers protocol
/// counts.
using Duration = std::chrono::milliseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

}  // namespace stickmesh
