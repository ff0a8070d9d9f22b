#pragma once

#include <cctype>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/bytes.h"

namespace stickmesh::peers {

/// Bytes written as in peers-protocol 2.5; spaces do not count.
inline std::vector<std::byte> from_hex(std::string_view hex) {
  std::string digits;
  for (const char character : hex) {
    if (std::isxdigit(static_cast<unsigned char>(character)) != 0) digits += character;
  }
  std::vector<std::byte> bytes;
  for (std::size_t at = 0; at + 1 < digits.size(); at += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoul(digits.substr(at, 2), nullptr, 16)));
  }
  return bytes;
}

inline std::string to_hex(Bytes bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const std::byte byte : bytes) {
    hex += kDigits[std::to_integer<std::size_t>(byte >> 4)];
    hex += kDigits[std::to_integer<std::size_t>(byte & std::byte{15})];
  }
  return hex;
}

/// The same bytes without the spaces, to compare with `to_hex`.
inline std::string plain(std::string_view hex) {
  return to_hex(from_hex(hex));
}

inline std::vector<std::byte> joined(std::initializer_list<std::string_view> parts) {
  std::vector<std::byte> bytes;
  for (const std::string_view part : parts) {
    const std::vector<std::byte> more = from_hex(part);
    bytes.insert(bytes.end(), more.begin(), more.end());
  }
  return bytes;
}

}  // namespace stickmesh::peers
