#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>

#include "agent/base/table_definition.h"
#include "agent/peers/session/session.h"
#include "agent/peers/wire/entry_update.h"
#include "agent/store/table.h"

namespace stickmesh::pipeline {

/// Writes to an instance's own input tables, under their own names, never another origin's contributions
/// (DESIGN, "Sessions with instances" and `clear table`): what an instance that has lost its tables had
/// itself counted before, and zeros for keys that an operator cleared.
class Restorer {
 public:
  /// The numbers of these tables on the wire begin here, above those of totals.
  static constexpr peers::TableId kFirstTable = 0x10000;

  struct Target {
    peers::PeerSession& session;
    std::size_t input;  ///< the table's index among those of the link
    store::Table& table;
    store::OriginId origin;
  };

  /// Starts a walk with a table's first entry.
  void begin() { next_ = 0; }
  /// Sends the keys that |target|, whose definition of the table is |announced|, has to be told of as
  /// cleared, and contributions older than |generation|, until |backlog| bytes are pending or so many were
  /// looked at that the loop is due. True when the table is done. It may be defined anew between two calls.
  bool run(const Target& target, const TableDefinition& announced, std::uint32_t generation,
           std::size_t backlog, TimePoint now);

  /// Tells |target| that one key was cleared.
  void tell_cleared(const Target& target, const TableDefinition& announced,
                    store::ContributionId contribution, TimePoint now);
  /// The instance has taken all that we wrote to that table up to |update_id|: calls |settle|(input, entry)
  /// for cleared keys among it.
  using Settle = std::function<void(std::size_t input, store::EntryId entry)>;
  void acknowledged(peers::TableId number, std::uint32_t update_id, const Settle& settle);
  /// Gives up waiting for acknowledgements, which some versions never send.
  void settle_all(const Settle& settle);
  /// When the oldest cleared key that was not acknowledged was told.
  std::optional<TimePoint> waiting_since() const;

 private:
  struct Told {
    std::size_t input;
    store::EntryId entry;
    std::uint32_t update_id;
    TimePoint when;
  };

  void send(const Target& target, const TableDefinition& definition, store::ContributionId contribution,
            TimePoint now);
  Bytes encode(const store::Table& table, const TableDefinition& definition,
               store::ContributionId contribution, TimePoint now);

  store::EntryId next_ = 0;
  std::uint32_t update_id_ = 0;
  std::deque<Told> told_;  ///< in the order of their numbers
  peers::UpdateEncoder encoder_;
};

}  // namespace stickmesh::pipeline
