#include "agent/events/line_session.h"

#include <fmt/format.h>

namespace stickmesh::events {

Result<void> LineSession::receive(Bytes in, TimePoint now) {
  std::string_view rest = as_text(in);
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const std::string_view part = rest.substr(0, end);
    if (begun_.size() + part.size() > kMaxLine) {
      return refuse(Reason::kMessageTooLong, fmt::format("a line of more than {} bytes", kMaxLine));
    }
    if (end == std::string_view::npos) {
      begun_.append(part);
      return {};
    }
    rest.remove_prefix(end + 1);
    if (begun_.empty()) {
      counter_.take(part, from_, now);
      continue;
    }
    begun_.append(part);
    counter_.take(begun_, from_, now);
    begun_.clear();
  }
  return {};
}

}  // namespace stickmesh::events
