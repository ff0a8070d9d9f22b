#include "spoe/session/assembler.h"

#include <algorithm>

namespace stickmesh::spoe {

namespace {

/// More than this is not kept by a connection between two frames.
constexpr std::size_t kKeptCapacity = std::size_t{256} * 1024;

}  // namespace

Frame Assembler::next(Bytes& in, std::size_t max_length, TimePoint now) {
  if (empty()) {
    drop();
    const Frame frame = parse_frame(in, max_length);
    arrived_ = now;
    if (frame.status == FrameStatus::kFrame) in = in.subspan(frame.size);
    if (frame.status == FrameStatus::kNeedMore) {
      hold(in, now);
      in = {};
    }
    return frame;
  }
  arrived_ = since_;
  for (;;) {
    const Frame frame = parse_frame(kept(), max_length);
    if (frame.status == FrameStatus::kFrame) offset_ += frame.size;
    if (frame.status != FrameStatus::kNeedMore || in.empty()) return frame;
    kept_.erase(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(offset_));
    offset_ = 0;
    const Bytes more = in.first(std::min(in.size(), frame.size - kept_.size()));
    kept_.insert(kept_.end(), more.begin(), more.end());
    in = in.subspan(more.size());
  }
}

void Assembler::hold(Bytes in, TimePoint now) {
  if (empty()) {
    drop();
    since_ = now;
  }
  kept_.insert(kept_.end(), in.begin(), in.end());
}

void Assembler::clear() {
  std::vector<std::byte>().swap(kept_);
  offset_ = 0;
}

void Assembler::drop() {
  kept_.clear();
  offset_ = 0;
  if (kept_.capacity() > kKeptCapacity) kept_.shrink_to_fit();
}

}  // namespace stickmesh::spoe
