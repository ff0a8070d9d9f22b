#include "agent/base/printable.h"

#include <algorithm>

namespace stickmesh {

namespace {

bool is_control(char character) {
  const auto byte = static_cast<unsigned char>(character);
  return byte < 0x20 || byte == 0x7f;
}

}  // namespace

std::string readable(std::string_view text, std::size_t limit) {
  std::string clean(text.substr(0, limit));
  std::replace_if(clean.begin(), clean.end(), is_control, '?');
  if (text.size() > limit) clean += "...";
  return clean;
}

std::string printable(std::string_view text, std::size_t limit) {
  return '"' + readable(text, limit) + '"';
}

bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(), is_control);
}

}  // namespace stickmesh
