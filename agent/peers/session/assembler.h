#pragma once

#include <cstddef>
#include <vector>

#include "agent/peers/wire/message.h"

namespace stickmesh::peers {

/// Cuts a stream into messages. Whole ones are views of the input; one that is split over inputs is
/// collected, which takes no more memory than has come and never more than the longest message.
class Assembler {
 public:
  explicit Assembler(std::size_t max_body) : max_body_(max_body) {}

  /// Takes the next message from |in| and advances it, or keeps all of it and answers kNeedMore. The message
  /// is valid until the next call, and as long as the input.
  Frame next(Bytes& in);

 private:
  std::size_t max_body_;
  std::vector<std::byte> partial_;
  bool complete_ = false;  ///< |partial_| was handed out
};

}  // namespace stickmesh::peers
