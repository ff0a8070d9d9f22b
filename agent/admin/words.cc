#include "agent/admin/words.h"

#include <fmt/format.h>

namespace stickmesh::admin {

std::string seconds_ago(TimePoint when, TimePoint now) {
  return when == TimePoint{} ? "-" : fmt::format("{:.1f}", static_cast<double>((now - when).count()) / 1000);
}

std::string_view or_dash(std::string_view text) {
  return text.empty() ? "-" : text;
}

std::string cell(std::string_view text) {
  std::string out(or_dash(text));
  for (char& c : out) {
    if (c == '\t' || c == '\n') c = ' ';
  }
  return out;
}

}  // namespace stickmesh::admin
