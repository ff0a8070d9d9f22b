#pragma once

#include <cstddef>
#include <cstdint>

namespace stickmesh::store {

/// The one count of what tables may use (`[agent] max-memory`). Everything that grows with the number of keys
/// reserves here before it allocates, in pieces of about a slab's chunk.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::size_t limit) : limit_(limit) {}

  /// False when |size| more bytes would pass the limit: nothing is reserved then.
  bool reserve(std::size_t size) {
    if (!has_room_for(size)) return false;
    used_ += size;
    return true;
  }
  bool has_room_for(std::size_t size) const { return used_ <= limit_ && size <= limit_ - used_; }
  /// For what must be had whatever the limit, and is small or replaces what is given back at once. May pass
  /// the limit: what was cut off here would be missing when it is released.
  void reserve_always(std::size_t size) { used_ += size; }
  void release(std::size_t size) { used_ -= size; }

  std::size_t used() const { return used_; }
  std::size_t limit() const { return limit_; }
  /// From 90 % on, a new key replaces an old one instead of growing a table.
  bool scarce() const { return used_ >= limit_ - limit_ / 10; }

 private:
  std::size_t limit_;
  std::size_t used_ = 0;
};

}  // namespace stickmesh::store
