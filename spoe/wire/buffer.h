#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>

#include "agent/base/bytes.h"

namespace stickmesh::spoe {

/// Bytes that wait for the kernel, in one piece, written in place. A position is counted from the first
/// pending byte, so that it stays right when the memory moves, but not when bytes are consumed.
class Buffer {
 public:
  Bytes pending() const { return {memory_.get() + head_, size()}; }
  std::size_t size() const { return tail_ - head_; }
  bool empty() const { return tail_ == head_; }

  /// Where |size| more bytes may be written, of which `commit` makes those pending that were. Valid until the
  /// next call.
  std::byte* room(std::size_t size) {
    if (capacity_ - tail_ < size) grow(size);
    return memory_.get() + tail_;
  }
  void commit(std::size_t size) { tail_ += size; }
  void commit_to(const std::byte* end) { tail_ = static_cast<std::size_t>(end - memory_.get()); }

  /// What is pending at |position|; to be changed before it is sent.
  std::byte* at(std::size_t position) { return memory_.get() + head_ + position; }
  /// Takes back all from |position| on.
  void truncate(std::size_t position) { tail_ = head_ + position; }

  void append(Bytes bytes) {
    if (bytes.empty()) return;
    std::memcpy(room(bytes.size()), bytes.data(), bytes.size());
    commit(bytes.size());
  }

  void consume(std::size_t size) {
    head_ += std::min(size, this->size());
    if (!empty()) return;
    head_ = tail_ = 0;
    // What one burst needed is not kept by a connection that may be idle from now on.
    if (capacity_ > kKeptCapacity) release();
  }

  void release() {
    memory_.reset();
    head_ = tail_ = capacity_ = 0;
  }

 private:
  static constexpr std::size_t kLeastCapacity = 1024;
  static constexpr std::size_t kKeptCapacity = std::size_t{128} * 1024;

  void grow(std::size_t size) {
    const std::size_t used = this->size();
    // Moving to the front is worth it only when that frees at least as much as it moves.
    if (head_ >= used && capacity_ - used >= size) {
      if (used != 0) std::memmove(memory_.get(), memory_.get() + head_, used);
    } else {
      const std::size_t capacity = std::max({kLeastCapacity, 2 * capacity_, used + size});
      auto memory = std::make_unique_for_overwrite<std::byte[]>(capacity);
      if (used != 0) std::memcpy(memory.get(), memory_.get() + head_, used);
      memory_ = std::move(memory);
      capacity_ = capacity;
    }
    head_ = 0;
    tail_ = used;
  }

  std::unique_ptr<std::byte[]> memory_;
  std::size_t capacity_ = 0, head_ = 0, tail_ = 0;
};

}  // namespace stickmesh::spoe
