#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace stickmesh::spoe {

/// Text of a remote, fit for a log line: without control characters, and cut to |limit| bytes.
std::string readable(std::string_view text, std::size_t limit = 64);

}  // namespace stickmesh::spoe
