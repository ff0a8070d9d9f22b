#include "agent/peers/wire/printable.h"

#include <algorithm>

namespace stickmesh::peers {

namespace {

bool is_control(char character) {
  const auto byte = static_cast<unsigned char>(character);
  return byte < 0x20 || byte == 0x7f;
}

}  // namespace

std::string printable(std::string_view text, std::size_t limit) {
  std::string quoted = "\"";
  for (const char character : text.substr(0, limit)) quoted += is_control(character) ? '?' : character;
  quoted += text.size() > limit ? "...\"" : "\"";
  return quoted;
}

bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(), is_control);
}

}  // namespace stickmesh::peers
