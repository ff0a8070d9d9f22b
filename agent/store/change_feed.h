#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace stickmesh::store {

/// The order in which entries of a table were published: one sequence of numbers for all receivers. A
/// receiver is a cursor into it, so that a slow one costs no memory and always finds the newest state of a
/// key: publishing an entry again makes its older place stale.
///
/// A sequence number's low 32 bits are the update id on the wire, which is never 0 (peers-protocol, rule 4).
class ChangeFeed {
 public:
  struct Place {
    std::uint64_t sequence;
    std::uint32_t entry;
  };

  /// The number under which |entry| is now published; its caller keeps it with the entry.
  std::uint64_t publish(std::uint32_t entry) {
    ++last_;
    if (static_cast<std::uint32_t>(last_) == 0) ++last_;
    places_.push_back({static_cast<std::uint32_t>(last_), static_cast<std::uint32_t>(last_ >> 32U), entry});
    return last_;
  }

  /// For a feed that goes on from another process: empty, then with the places that it had, in order.
  void begin_again() {
    places_.clear();
    last_ = 0;
  }
  /// The next number is one above |sequence|, unless that was given already.
  void skip_to(std::uint64_t sequence) { last_ = std::max(last_, sequence); }

  /// The newest number given so far; 0 before the first.
  std::uint64_t last() const { return last_; }

  /// The sequence number that |update_id| stands for: the newest that is not in the future.
  std::uint64_t sequence_of(std::uint32_t update_id) const {
    const std::uint32_t behind = static_cast<std::uint32_t>(last_) - update_id;
    return behind > last_ ? 0 : last_ - behind;
  }

  /// The position of the first place after |sequence|.
  std::size_t after(std::uint64_t sequence) const {
    const auto place =
        std::upper_bound(places_.begin(), places_.end(), sequence,
                         [](std::uint64_t value, const Stored& at) { return value < at.place().sequence; });
    return static_cast<std::size_t>(place - places_.begin());
  }
  std::size_t size() const { return places_.size(); }
  Place at(std::size_t position) const { return places_[position].place(); }

  /// Drops stale places when they have become the greater part. |current|(place) tells whether a place is its
  /// entry's newest. Positions are void afterwards, sequence numbers are not. False when nothing was due.
  template <typename Current>
  bool compact(std::size_t live, Current&& current) {
    if (places_.size() < 1024 || places_.size() < 2 * live) return false;
    std::erase_if(places_, [&](const Stored& stored) { return !current(stored.place()); });
    return true;
  }

  std::size_t memory() const { return places_.capacity() * sizeof(Stored); }

 private:
  /// In halves, so that no padding follows the entry.
  struct Stored {
    std::uint32_t low;
    std::uint32_t high;
    std::uint32_t entry;
    Place place() const { return {std::uint64_t{high} << 32U | low, entry}; }
  };
  std::vector<Stored> places_;
  std::uint64_t last_ = 0;
};

}  // namespace stickmesh::store
