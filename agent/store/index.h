#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "agent/store/memory.h"
#include "agent/store/slab.h"

namespace stickmesh::store {

/// Finds an entry's id by the hash of its key: open addressing, eight bytes a slot, in 64 parts that grow one
/// at a time, so that no single insertion waits for a whole table to be moved. Keys stay with the entries;
/// the caller compares.
class Index {
 public:
  explicit Index(MemoryBudget& budget) : budget_(&budget) {}
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;
  ~Index() {
    for (const Part& part : parts_) budget_->release(part.slots.size() * sizeof(Slot));
  }

  /// The id for which |equal|(id) holds, or kNone.
  template <typename Equal>
  std::uint32_t find(std::uint64_t hash, Equal&& equal) const {
    const Part& part = parts_[hash >> 58U];
    if (part.slots.empty()) return kNone;
    const auto tag = static_cast<std::uint32_t>(hash);
    for (std::size_t at = tag & part.mask;; at = (at + 1) & part.mask) {
      const Slot& slot = part.slots[at];
      if (slot.id == kNone) return kNone;
      if (slot.tag == tag && equal(slot.id)) return slot.id;
    }
  }

  /// REQUIRES: no equal key is present. False when the budget is spent.
  bool insert(std::uint64_t hash, std::uint32_t id) {
    Part& part = parts_[hash >> 58U];
    if ((part.used + 1) * 4 > part.slots.size() * 3 && !grow(part)) return false;
    place(part, {static_cast<std::uint32_t>(hash), id});
    ++part.used;
    return true;
  }

  void erase(std::uint64_t hash, std::uint32_t id) {
    Part& part = parts_[hash >> 58U];
    if (part.slots.empty()) return;
    std::size_t hole = static_cast<std::uint32_t>(hash) & part.mask;
    while (part.slots[hole].id != id) {
      if (part.slots[hole].id == kNone) return;
      hole = (hole + 1) & part.mask;
    }
    // Moves later members of the run back, so that no search ends at the hole too early.
    for (std::size_t at = (hole + 1) & part.mask; part.slots[at].id != kNone; at = (at + 1) & part.mask) {
      const std::size_t home = part.slots[at].tag & part.mask;
      if (((at - home) & part.mask) >= ((at - hole) & part.mask)) {
        part.slots[hole] = part.slots[at];
        hole = at;
      }
    }
    part.slots[hole].id = kNone;
    --part.used;
  }

  /// Asks the processor for the slot that a search will look at first.
  void prefetch(std::uint64_t hash) const {
    const Part& part = parts_[hash >> 58U];
    if (!part.slots.empty()) __builtin_prefetch(&part.slots[static_cast<std::uint32_t>(hash) & part.mask]);
  }

  std::size_t memory() const {
    std::size_t slots = 0;
    for (const Part& part : parts_) slots += part.slots.size();
    return slots * sizeof(Slot);
  }

 private:
  struct Slot {
    std::uint32_t tag;
    std::uint32_t id;
  };
  struct Part {
    std::vector<Slot> slots;
    std::size_t mask = 0;
    std::size_t used = 0;
  };

  static void place(Part& part, Slot slot) {
    std::size_t at = slot.tag & part.mask;
    while (part.slots[at].id != kNone) at = (at + 1) & part.mask;
    part.slots[at] = slot;
  }

  bool grow(Part& part) {
    const std::size_t size = part.slots.empty() ? 16 : part.slots.size() * 2;
    if (!budget_->reserve((size - part.slots.size()) * sizeof(Slot))) return false;
    std::vector<Slot> old(size, Slot{0, kNone});
    old.swap(part.slots);
    part.mask = size - 1;
    for (const Slot& slot : old) {
      if (slot.id != kNone) place(part, slot);
    }
    return true;
  }

  MemoryBudget* budget_;
  std::array<Part, 64> parts_;
};

}  // namespace stickmesh::store
