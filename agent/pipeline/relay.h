#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "agent/peers/wire/entry_update.h"
#include "agent/store/change_feed.h"
#include "agent/store/table.h"

namespace stickmesh::pipeline {

/// What this agent has heard of one table, in order, for the other agents and for its own next process: each
/// of them is a cursor into it, and only the newest state of a contribution waits. What is heard the table's
/// `Tracking` says. Owned by the registry, beside the table.
class Relay {
 public:
  explicit Relay(store::Table& table);

  /// Gives every contribution that was heard since the last call its place in the feed.
  void publish();
  const store::ChangeFeed& feed() const { return feed_; }
  /// The feed goes on from that of the process before this one, which ended at |last|. |places|, in its
  /// order, are what not all others had taken of it; all else that was heard until now they have.
  void go_on(std::span<const store::ChangeFeed::Place> places, std::uint64_t last);
  /// Whether the contribution at |place| is still there, and was not heard again since.
  bool newest(const store::ChangeFeed::Place& place) const {
    return place.entry < sequences_.size() && sequences_[place.entry] == place.sequence &&
           table_->holds(place.entry);
  }

  /// The update of |contribution| under |update_id|, for a definition made by `announced`; always timed.
  /// |whole|: with what only our own next process may know. Valid until the next call.
  Bytes encode(store::ContributionId contribution, std::uint32_t update_id, TimePoint now,
               bool whole = false);
  /// The table as agents tell it to each other: TABLE@ORIGIN, with the types that |origin| stores.
  TableDefinition announced(store::OriginId origin) const;
  /// As our own next process is told of a replicated table: TABLE@ORIGIN@WRITER, without the last if nobody
  /// has written.
  TableDefinition announced(store::OriginId origin, store::OriginId writer) const;

  std::size_t memory() const { return feed_.memory() + sequences_.capacity() * sizeof(std::uint64_t); }

 private:
  void note(store::ContributionId contribution);

  store::Table* table_;
  store::ChangeFeed feed_;
  std::vector<std::uint64_t> sequences_;  ///< by contribution
  std::uint32_t redefinitions_;
  store::CopyBuffer buffer_;
  peers::UpdateEncoder encoder_;
};

/// Splits TABLE@ORIGIN[@WRITER]; what |name| lacks is empty. Neither tables nor incarnations of agents, which
/// are the origins of what somebody else has written, have an '@' in their names.
struct RelayedName {
  std::string_view table;
  std::string_view origin;
  std::optional<std::string_view> writer;
};
RelayedName split_relayed(std::string_view name);
/// Whether |origin| is an agent's own, "agent-1#1700000000": such have one generation and no session.
bool is_incarnation(std::string_view origin);

}  // namespace stickmesh::pipeline
