#include "spoe/wire/readable.h"

namespace stickmesh::spoe {

std::string readable(std::string_view text, std::size_t limit) {
  std::string clean(text.substr(0, limit));
  for (char& character : clean) {
    const auto byte = static_cast<unsigned char>(character);
    if (byte < 0x20 || byte == 0x7f) character = '?';
  }
  if (text.size() > limit) clean += "...";
  return clean;
}

}  // namespace stickmesh::spoe
