#pragma once

#include <cstdint>
#include <vector>

#include "agent/base/time.h"
#include "agent/store/slab.h"

namespace stickmesh::store {

/// Which row is due when: a ring of time slots, each a linked list of ids. What is due later than the ring
/// reaches waits in its slot for another turn. Scheduling later than before costs nothing: the row comes up
/// at its old time, and its owner, who knows the true one, schedules it again.
class Wheel {
 public:
  Wheel(Duration resolution, TimePoint now, MemoryBudget& budget)
      : resolution_(resolution.count() < 1 ? Duration(1) : resolution),
        heads_(kSlots, kNone),
        tick_(tick_of(now)),
        nodes_(sizeof(Node), budget) {}

  /// How many rows are waiting.
  std::size_t scheduled() const { return scheduled_; }
  std::size_t memory() const { return nodes_.memory(); }

  bool waiting(std::uint32_t id) const { return id < nodes_.end() && node(id).due != kIdle; }

  /// How far ahead a row can be scheduled without waiting for another turn.
  Duration horizon() const { return resolution_ * (kSlots - 1); }

  /// False when there is no memory for the row's place.
  bool add(std::uint32_t id, TimePoint due) {
    while (nodes_.end() <= id) {
      const std::uint32_t fresh = nodes_.take();
      if (fresh == kNone) return false;
      node(fresh).due = kIdle;
    }
    move(id, due);
    return true;
  }

  /// Makes |id| come up at |due| or before.
  void schedule(std::uint32_t id, TimePoint due) {
    const std::uint64_t tick = tick_of(due) + 1;
    if (node(id).due == kIdle || tick < node(id).due) move(id, due);
  }

  /// Makes |id| come up at |due|, whatever was scheduled before.
  void move(std::uint32_t id, TimePoint due) {
    remove(id);
    Node& moved = node(id);
    const std::uint64_t tick = tick_of(due) + 1;
    moved.due = tick > tick_ ? tick : tick_ + 1;
    ++scheduled_;
    std::uint32_t& head = heads_[moved.due % kSlots];
    moved.previous = kNone;
    moved.next = head;
    if (head != kNone) node(head).previous = id;
    head = id;
  }

  /// Whether |id|, which must be scheduled, comes up before |due|.
  bool early(std::uint32_t id, TimePoint due) const { return node(id).due < tick_of(due) + 1; }

  void remove(std::uint32_t id) {
    if (id >= nodes_.end() || node(id).due == kIdle) return;
    Node& gone = node(id);
    if (gone.previous != kNone) {
      node(gone.previous).next = gone.next;
    } else {
      heads_[gone.due % kSlots] = gone.next;
    }
    if (gone.next != kNone) node(gone.next).previous = gone.previous;
    gone.due = kIdle;
    --scheduled_;
  }

  /// Calls |due|(id) for rows that came due until |now|, having taken each out; at most |limit| of them.
  /// Returns whether it is done: false asks to be called again soon. The callback may add, move and remove
  /// any row.
  template <typename Callback>
  bool advance(TimePoint now, std::size_t limit, Callback&& due) {
    const std::uint64_t until = tick_of(now);
    if (until > tick_ + kSlots) skip_to(until - kSlots);
    while (tick_ < until) {
      const std::uint64_t tick = tick_ + 1;
      const std::uint32_t& head = heads_[tick % kSlots];
      while (gather_due(tick)) {
        for (std::uint32_t id = head; id != kNone && node(id).due <= tick; id = head) {
          if (limit-- == 0) return false;
          remove(id);
          due(id);
        }
      }
      tick_ = tick;
    }
    return true;
  }

  /// Calls |visit|(id) from the soonest due on, until it returns false or |limit| rows were seen.
  template <typename Callback>
  void soonest(std::size_t limit, Callback&& visit) const {
    for (std::uint64_t tick = tick_ + 1; tick <= tick_ + kSlots; ++tick) {
      for (std::uint32_t id = heads_[tick % kSlots]; id != kNone; id = node(id).next) {
        if (limit-- == 0 || !visit(id)) return;
      }
    }
  }

 private:
  static constexpr std::uint64_t kSlots = 4096;
  static constexpr std::uint64_t kIdle = 0;

  struct Node {
    std::uint64_t due;  ///< in ticks; kIdle when in no slot
    std::uint32_t previous;
    std::uint32_t next;
  };

  std::uint64_t tick_of(TimePoint when) const {
    return static_cast<std::uint64_t>(when.time_since_epoch() / resolution_);
  }
  Node& node(std::uint32_t id) { return *reinterpret_cast<Node*>(nodes_.row(id)); }
  const Node& node(std::uint32_t id) const { return *reinterpret_cast<const Node*>(nodes_.row(id)); }

  // Moves the rows of a slot that are due to its front, so that those of later turns are looked at once and
  // not again for each row that is taken out. False when none is due.
  bool gather_due(std::uint64_t tick) {
    std::uint32_t& head = heads_[tick % kSlots];
    for (std::uint32_t id = head; id != kNone;) {
      Node& row = node(id);
      const std::uint32_t next = row.next;
      if (row.due <= tick && id != head) {
        node(row.previous).next = next;
        if (next != kNone) node(next).previous = row.previous;
        row.previous = kNone;
        row.next = head;
        node(head).previous = id;
        head = id;
      }
      id = next;
    }
    return head != kNone && node(head).due <= tick;
  }
  // After a jump of the clock past the whole ring every slot is visited once: nothing in it can be missed.
  void skip_to(std::uint64_t tick) { tick_ = tick; }

  Duration resolution_;
  std::vector<std::uint32_t> heads_;
  std::uint64_t tick_;
  std::size_t scheduled_ = 0;
  Slab nodes_;
};

}  // namespace stickmesh::store
