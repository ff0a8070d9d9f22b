#pragma once

#include <cstddef>
#include <vector>

#include "agent/base/bytes.h"

namespace stickmesh::peers {

/// Bytes that wait for the kernel, in one piece. Appending may move them.
class OutputBuffer {
 public:
  Bytes pending() const { return Bytes(bytes_).subspan(head_); }
  std::size_t size() const { return bytes_.size() - head_; }
  bool empty() const { return size() == 0; }

  /// Appends; to be used at once and not kept.
  Writer writer() { return Writer(bytes_); }
  void append(Bytes bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }

  void consume(std::size_t size) {
    head_ += size < this->size() ? size : this->size();
    if (empty()) {
      bytes_.clear();
      head_ = 0;
      // What one burst needed is not kept for the rest of a long session.
      if (bytes_.capacity() > kKeptCapacity) bytes_.shrink_to_fit();
    } else if (head_ >= kCompactAt && head_ >= this->size()) {
      bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(head_));
      head_ = 0;
    }
  }

 private:
  static constexpr std::size_t kKeptCapacity = std::size_t{512} * 1024;
  static constexpr std::size_t kCompactAt = std::size_t{64} * 1024;

  std::vector<std::byte> bytes_;
  std::size_t head_ = 0;
};

}  // namespace stickmesh::peers
