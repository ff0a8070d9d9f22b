#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "agent/store/memory.h"

namespace stickmesh::store {

inline constexpr std::uint32_t kNone = 0xffffffffU;

/// Rows of one size, named by 32-bit ids that stay valid while others come and go. Chunks are never moved, so
/// growth costs one allocation and no copy; freed rows are used again, last freed first.
class Slab {
 public:
  Slab(std::size_t row_size, MemoryBudget& budget)
      : row_size_((row_size + 7U) & ~std::size_t{7}), shift_(chunk_shift(row_size_)), budget_(&budget) {}
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  Slab(Slab&& other) noexcept
      : row_size_(other.row_size_),
        shift_(other.shift_),
        budget_(other.budget_),
        chunks_(std::move(other.chunks_)),
        end_(other.end_),
        free_(other.free_),
        live_(other.live_) {
    other.chunks_.clear();
  }
  Slab& operator=(Slab&& other) noexcept {
    std::swap(row_size_, other.row_size_);
    std::swap(shift_, other.shift_);
    std::swap(chunks_, other.chunks_);
    std::swap(end_, other.end_);
    std::swap(free_, other.free_);
    std::swap(live_, other.live_);
    return *this;
  }
  ~Slab() { budget_->release(chunks_.size() * chunk_size()); }

  /// A zeroed row, or kNone when the budget is spent.
  std::uint32_t take() {
    std::uint32_t id = free_;
    if (id != kNone) {
      std::memcpy(&free_, row(id), sizeof free_);
    } else {
      if ((end_ >> shift_) == chunks_.size() && !add_chunk()) return kNone;
      id = end_++;
    }
    std::memset(row(id), 0, row_size_);
    ++live_;
    return id;
  }

  void give_back(std::uint32_t id) {
    std::memcpy(row(id), &free_, sizeof free_);
    free_ = id;
    --live_;
  }

  std::byte* row(std::uint32_t id) {
    return chunks_[id >> shift_].get() + (id & ((1U << shift_) - 1U)) * row_size_;
  }
  const std::byte* row(std::uint32_t id) const { return const_cast<Slab*>(this)->row(id); }

  /// One more than the largest id ever taken.
  std::uint32_t end() const { return end_; }
  std::uint32_t live() const { return live_; }
  bool has_free() const { return free_ != kNone || (end_ >> shift_) < chunks_.size(); }
  std::size_t row_size() const { return row_size_; }
  /// What it takes when it grows.
  std::size_t chunk_size() const { return row_size_ << shift_; }
  std::size_t memory() const { return chunks_.size() * chunk_size(); }

  /// What `same_ids` would reserve.
  std::size_t memory_of_same_ids(std::size_t row_size) const {
    const Slab other(row_size, *budget_);
    const std::size_t rows = std::size_t{1} << other.shift_;
    return (end_ + rows - 1) / rows * other.chunk_size();
  }
  /// A slab of other rows with the same ids taken and free, for a change of layout. Its rows are not
  /// initialised: the caller copies the heads of all of them, free ones included, since the list of free rows
  /// lies in these.
  Slab same_ids(std::size_t row_size) const {
    Slab other(row_size, *budget_);
    while ((other.chunks_.size() << other.shift_) < end_) other.add_chunk_always();
    other.end_ = end_;
    other.live_ = live_;
    other.free_ = free_;
    return other;
  }

 private:
  static constexpr std::size_t kChunkBytes = std::size_t{1} << 18U;

  static unsigned chunk_shift(std::size_t row_size) {
    const std::size_t rows = kChunkBytes / row_size;
    return rows < 16 ? 4U : static_cast<unsigned>(std::bit_width(rows)) - 1U;
  }
  bool add_chunk() {
    if (end_ >> 31U != 0 || !budget_->reserve(chunk_size())) return false;
    chunks_.push_back(std::make_unique_for_overwrite<std::byte[]>(chunk_size()));
    return true;
  }
  void add_chunk_always() {
    budget_->reserve_always(chunk_size());
    chunks_.push_back(std::make_unique_for_overwrite<std::byte[]>(chunk_size()));
  }

  std::size_t row_size_;
  unsigned shift_;
  MemoryBudget* budget_;
  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  std::uint32_t end_ = 0;
  std::uint32_t free_ = kNone;
  std::uint32_t live_ = 0;
};

}  // namespace stickmesh::store
