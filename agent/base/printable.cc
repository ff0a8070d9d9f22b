#include "agent/base/printable.h"

#include <algorithm>

namespace stickmesh {

namespace {

bool is_control(char character) {
  const auto byte = static_cast<unsigned char>(character);
  return byte < 0x20 || byte == 0x7f;
}

/// Of the character that |text| begins with, in bytes; 0 if it is no UTF-8 (RFC 3629).
std::size_t character_size(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || size > text.size()) return 0;
  for (std::size_t at = 1; at < size; ++at) {
    if ((byte(at) & 0xc0U) != 0x80) return 0;
  }
  const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool surrogate = first == 0xed && byte(1) >= 0xa0;
  const bool too_large = first == 0xf4 && byte(1) >= 0x90;
  return overlong || surrogate || too_large ? 0 : size;
}

}  // namespace

std::string readable(std::string_view text, std::size_t limit) {
  std::string clean;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t size = character_size(text.substr(at));
    if (at + std::max<std::size_t>(size, 1) > limit) break;
    const std::string_view character = text.substr(at, size);
    clean += size == 0 || is_control(character.front()) ? "?" : character;
    at += character.empty() ? 1 : size;
  }
  if (at < text.size()) clean += "...";
  return clean;
}

std::string printable(std::string_view text, std::size_t limit) {
  return '"' + readable(text, limit) + '"';
}

bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(), is_control);
}

}  // namespace stickmesh
