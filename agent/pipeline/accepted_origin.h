#pragma once

#include <string_view>

namespace stickmesh::pipeline {

/// The origin of what others have written to Redis for the agents. Its versions are times of Redis itself,
/// so that whoever has read it may tell it, and no agent is home to it.
inline constexpr std::string_view kAcceptedOrigin = "redis";

}  // namespace stickmesh::pipeline
