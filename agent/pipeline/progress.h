#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stickmesh::pipeline {

/// How far one table has been told in a session, for those who look. Update ids are those of the wire, 0
/// before the first; the ids of lessons are not acknowledged and do not show.
struct TableProgress {
  std::string name;  ///< as on the wire
  bool out = false;  ///< from us to the peer; else from it
  std::string_view use;
  std::uint32_t pushed = 0;
  std::optional<std::uint32_t> acknowledged;
  std::optional<std::uint64_t> backlog;  ///< of what we send; what waits at the peer it does not tell
};

}  // namespace stickmesh::pipeline
