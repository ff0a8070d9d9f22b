#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/base/result.h"
#include "agent/pipeline/output.h"
#include "agent/pipeline/relay.h"
#include "agent/pipeline/rules.h"
#include "agent/pipeline/server_pairs.h"
#include "agent/store/table.h"

namespace stickmesh::pipeline {

/// A table with everything that depends on its name.
struct TableRecord {
  std::unique_ptr<store::Table> table;
  std::unique_ptr<Output>
      output;  ///< null when no rule publishes it; without a name when that is for Redis alone
  std::unique_ptr<Relay> relay;  ///< null while nobody is to be told
  bool replicated = false;       ///< the last change wins: every entry has one contribution, the agent's
  /// What each origin said the table is, whether it stands or not.
  std::map<store::OriginId, TableDefinition> definitions;
  /// Which servers each of them knows.
  std::unique_ptr<ServerPairs> servers;
  bool declared = false;  ///< by `[[table]]`: its definition stands whatever instances say
  bool restored = false;  ///< no instance has defined it since the restart
  bool purging = false;   ///< since the start; its totals are too low
};

/// All tables of the agent, by canonical name, and what they share. Owned by the hub.
class Registry {
 public:
  Registry(const Rules& rules, std::size_t max_memory, std::size_t max_origins, std::uint64_t hash_seed);
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  store::Origins& origins() { return origins_; }
  const store::Origins& origins() const { return origins_; }
  const store::MemoryBudget& budget() const { return budget_; }
  const Rules& rules() const { return rules_; }

  /// What is kept for others to be told of: nothing, or for the other agents, or for them and the next
  /// process of this one.
  void track(store::Tracking tracking);
  store::Tracking tracking() const { return tracking_; }

  /// A table of the config. |max_entries| 0: bounded by memory alone.
  TableRecord& declare(const TableDefinition& definition, std::size_t max_entries, TimePoint now);
  /// A table as it stood before a restart. Its life time is the first instance's that defines it again. An
  /// error says why the config has no place for it.
  Result<TableRecord*> restore(const TableDefinition& definition, bool replicated, TimePoint now);
  /// |origin| says what its table is. The table is made, or extended by data types that it lacks, or stays as
  /// it is when |definition| does not fit; see `settle_definition`.
  TableRecord& define(store::OriginId origin, const TableDefinition& definition, TimePoint now);
  /// Gives every table the definition that most present origins share (tie: the smallest origin name), and
  /// drops its entries when that is another one than before. To be called when a definition or an origin has
  /// come or gone.
  void settle_definitions(TimePoint now);
  /// |origin| is no longer asked what its tables and servers are; `settle_definitions` is to follow.
  void forget_definitions(store::OriginId origin);
  /// Another process of |origin| may have other servers.
  void forget_servers(store::OriginId origin);
  /// Words for the operator when |definition| does not fit the standing one of |record|.
  std::optional<std::string> mismatch(const TableRecord& record, store::OriginId origin,
                                      const TableDefinition& definition) const;

  /// Why |origin| gets no number.
  Error no_place_for(std::string_view origin) const;

  TableRecord* find(std::string_view name);
  /// The table whose total is published as |output|.
  TableRecord* find_output(std::string_view output);
  const std::map<std::string, TableRecord, std::less<>>& tables() const { return tables_; }
  std::map<std::string, TableRecord, std::less<>>& tables() { return tables_; }

  /// Counts the tables made: someone who waits for an output looks again when it changes.
  std::uint64_t outputs_number() const { return outputs_number_; }
  /// How often the entries of any table were dropped for another definition.
  std::uint64_t redefinitions() const;
  std::uint64_t lamport() const { return lamport_; }
  /// A change of that number is known of.
  void raise_lamport(std::uint64_t number) { lamport_ = std::max(lamport_, number); }
  /// The version of a change that this agent accepts into a replicated table.
  store::Version next_change() {
    ++lamport_;
    return {static_cast<std::uint32_t>(lamport_ >> 32U), static_cast<std::uint32_t>(lamport_)};
  }

 private:
  TableRecord& add(const TableDefinition& definition, std::size_t max_entries, TimePoint now);
  void settle_definition(TableRecord& record, TimePoint now);
  void track(TableRecord& record) const;
  static void extend(TableRecord& record, const TableDefinition& definition);
  void purge_largest();

  const Rules& rules_;
  store::MemoryBudget budget_;
  store::Origins origins_;
  store::StringPool texts_;
  std::uint64_t lamport_ = 0;
  store::Shared shared_;
  std::map<std::string, TableRecord, std::less<>> tables_;
  std::uint64_t outputs_number_ = 0;
  store::Tracking tracking_ = store::Tracking::kNothing;
};

}  // namespace stickmesh::pipeline
