#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/redis/replies.h"

namespace stickmesh::redis {

/// A reply in one line, so that a test compares all of it: `[text(a), number(1), nothing]`.
inline std::string text_of(const Reply& reply) {
  switch (reply.type) {
    case Reply::Type::kNothing:
      return "nothing";
    case Reply::Type::kText:
      return "text(" + reply.text + ")";
    case Reply::Type::kStatus:
      return "status(" + reply.text + ")";
    case Reply::Type::kError:
      return "error(" + reply.text + ")";
    case Reply::Type::kNumber:
      return "number(" + std::to_string(reply.number) + ")";
    case Reply::Type::kList:
      break;
  }
  std::string all = "[";
  for (const Reply& part : reply.list) all += (all.size() == 1 ? "" : ", ") + text_of(part);
  return all + "]";
}

/// What a reader makes of pieces of a stream.
struct Heard {
  std::vector<std::string> replies{};
  std::string error{};  ///< empty without one

  void hear(ReplyReader& reader, std::string_view piece) {
    const auto outcome = reader.read(as_bytes(piece), [this](const Reply& reply) -> Result<void> {
      replies.push_back(text_of(reply));
      return {};
    });
    if (!outcome) error = to_string(outcome.error());
  }
};

inline Heard hear(const std::vector<std::string_view>& pieces) {
  ReplyReader reader;
  Heard heard;
  for (const std::string_view piece : pieces) {
    if (heard.error.empty()) heard.hear(reader, piece);
  }
  return heard;
}

}  // namespace stickmesh::redis
