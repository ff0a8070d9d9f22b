#pragma once

#include <algorithm>
#include <string_view>

namespace stickmesh {

/// Whether HAProxy would take |name| for a peer: letters, digits and _ : . - are allowed.
inline bool is_peer_name(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return letter || (c >= '0' && c <= '9') || c == '_' || c == ':' || c == '.' || c == '-';
  });
}

}  // namespace stickmesh
