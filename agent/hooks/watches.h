#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/hooks/hook.h"

namespace stickmesh::hooks {

/// Calls a script's functions that no message calls: of entries that have changed (a reader of the tables'
/// feeds, so that it is told the newest state of a key once, however often that has changed), of totals that
/// have come above a number, of peers, and those that run every so often.
class Watches {
 public:
  Watches(Hook& hook, Host& host) : hook_(hook), host_(host) {}

  /// The script was loaded, or another one in its place: functions for the same table go on where the former
  /// were. With |taking_over| for another process of this agent, what is above a threshold then is told
  /// again: whether that process had told it is not known.
  void begin(TimePoint now, bool taking_over);
  /// Some of what is due, until |end|; returns when it wants to be called next, or nothing when only
  /// something new can bring more.
  std::optional<TimePoint> run(TimePoint now, std::chrono::steady_clock::time_point end);

 private:
  /// Of one function.
  struct Follower {
    std::string table;
    std::string type;  ///< empty: it is told of every change
    std::uint64_t above = 0;
    Function function;
    bool from_start = false;  ///< what is in the feed already is looked at
    bool following = false;
    std::uint64_t told = 0;  ///< sequence number of the feed
    struct High {
      std::uint64_t key_hash;  ///< another key may have taken the entry's place
      bool above;
    };
    /// Entries that are above, or were when it was last looked through.
    std::unordered_map<store::EntryId, High> high{};
    std::deque<store::EntryId> order{};  ///< in which |high| is looked through
    std::size_t left = 0;                ///< of a look through it
  };

  struct Timer {
    Duration interval;
    Function function;
    TimePoint next;
  };

  bool out_of_time() const { return std::chrono::steady_clock::now() >= end_; }
  /// True when some is left.
  bool follow(Follower& follower);
  void look(Follower& follower, spoe::TableView& view, store::EntryId entry);
  bool is_above(const Follower& follower, spoe::TableView& view, store::EntryId entry) const;
  /// Forgets some of the entries that are not above any more.
  void look_back(Follower& follower);
  void look_at_peers();

  Hook& hook_;
  Host& host_;
  std::list<Follower> followers_;
  std::list<Timer> timers_;
  std::map<std::string, bool> peers_;  ///< who was there when it was looked last
  TimePoint next_look_back_{};
  std::chrono::steady_clock::time_point end_;  ///< of the `run` at hand
};

}  // namespace stickmesh::hooks
