#pragma once

#include <cstdint>
#include <optional>

#include "agent/base/table_definition.h"
#include "agent/peers/session/session.h"
#include "agent/peers/wire/entry_update.h"
#include "agent/store/table.h"

namespace stickmesh::pipeline {

/// Teaches an instance that has lost its tables what it had itself counted before (DESIGN, "Sessions with
/// instances"): its own contributions of earlier generations, under its own names, never another origin's.
/// One table after the other, each in slices.
class Restorer {
 public:
  /// The numbers of restored tables on the wire begin here, above those of totals.
  static constexpr peers::TableId kFirstTable = 0x10000;

  /// Starts with the first entry of a table that the instance defines as |announced|.
  void begin(const TableDefinition& announced);
  /// Sends entries of |origin| older than |generation| until |backlog| bytes are pending or so many were
  /// looked at that the loop is due. True when the table is done.
  bool run(peers::PeerSession& session, peers::TableId number, const store::Table& table,
           store::OriginId origin, std::uint32_t generation, std::size_t backlog, TimePoint now);

 private:
  Bytes encode(const store::Table& table, store::ContributionId contribution, Bytes key, TimePoint now);

  TableDefinition definition_;
  store::EntryId next_ = 0;
  std::uint32_t update_id_ = 0;
  peers::UpdateEncoder encoder_;
};

}  // namespace stickmesh::pipeline
