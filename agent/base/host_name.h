#pragma once

#include <algorithm>
#include <string_view>

namespace stickmesh {

/// Names of hosts are compared without regard to case, in ASCII whatever the locale.
inline bool same_host_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char left, char right) { return lower(left) == lower(right); });
}

}  // namespace stickmesh
