#include "agent/peers/session/assembler.h"

#include <algorithm>

namespace stickmesh::peers {

Frame Assembler::next(Bytes& in) {
  if (complete_) {
    partial_.clear();
    complete_ = false;
  }
  if (partial_.empty()) {
    const Frame frame = parse_frame(in, max_body_);
    if (frame.status == FrameStatus::kMessage) in = in.subspan(frame.size);
    if (frame.status == FrameStatus::kNeedMore) {
      partial_.assign(in.begin(), in.end());
      in = {};
    }
    return frame;
  }
  for (;;) {
    const Frame frame = parse_frame(partial_, max_body_);
    complete_ = frame.status == FrameStatus::kMessage;
    if (frame.status != FrameStatus::kNeedMore || in.empty()) return frame;
    const Bytes more = in.first(std::min(in.size(), frame.size - partial_.size()));
    partial_.insert(partial_.end(), more.begin(), more.end());
    in = in.subspan(more.size());
  }
}

}  // namespace stickmesh::peers
