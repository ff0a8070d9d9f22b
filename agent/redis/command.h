#pragma once

#include <span>
#include <string>
#include <string_view>

namespace stickmesh::redis {

/// Appends a command as Redis reads it: an array of bulk strings, so that words may hold any bytes. False,
/// and nothing appended, without memory for it.
bool append_command(std::string& out, std::span<const std::string_view> words);

}  // namespace stickmesh::redis
