#pragma once

#include <cstdint>
#include <deque>
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
  /// were.
  void begin();
  /// Some of what is due; returns when it wants to be called next, or nothing when only something new can
  /// bring more.
  std::optional<TimePoint> run(TimePoint now);

 private:
  /// Of one function.
  struct Follower {
    std::string table;
    std::string type;  ///< empty: it is told of every change
    std::uint64_t above = 0;
    Function function;
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

  /// True when some is left.
  bool follow(Follower& follower);
  void look(Follower& follower, spoe::TableView& view, store::EntryId entry);
  bool is_above(const Follower& follower, spoe::TableView& view, store::EntryId entry) const;
  /// Forgets some of the entries that are not above any more.
  void look_back(Follower& follower);
  void look_at_peers();

  Hook& hook_;
  Host& host_;
  std::vector<Follower> followers_;
  std::map<std::string, bool> peers_;  ///< who was there when it was looked last
  TimePoint next_look_back_{};
  std::size_t turns_ = 0;  ///< calls left in this `run`
};

}  // namespace stickmesh::hooks
