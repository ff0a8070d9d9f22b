#pragma once

#include <cstddef>
#include <vector>

#include "agent/base/time.h"
#include "spoe/wire/frame.h"

namespace stickmesh::spoe {

/// Cuts a stream into frames, in place. Only the start of a frame whose end has not come, and what is put
/// aside by `hold`, are copied; that takes no more memory than has come.
class Assembler {
 public:
  /// Takes the next frame, of what is kept first, then of |in|, and advances |in|; or keeps all of |in| and
  /// answers kNeedMore. The frame is valid until the next call, and as long as the input.
  Frame next(Bytes& in, std::size_t max_length, TimePoint now);
  /// Keeps |in| for later.
  void hold(Bytes in, TimePoint now);
  void clear();

  bool empty() const { return offset_ == kept_.size(); }
  Bytes kept() const { return Bytes(kept_).subspan(offset_); }
  /// When the first kept byte came.
  TimePoint since() const { return since_; }
  /// When the first byte of the frame that `next` gave last came, or before.
  TimePoint arrived() const { return arrived_; }

 private:
  void drop();

  std::vector<std::byte> kept_;
  std::size_t offset_ = 0;  ///< what was handed out of |kept_|
  TimePoint since_{};
  TimePoint arrived_{};
};

}  // namespace stickmesh::spoe
