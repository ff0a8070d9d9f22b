#include "agent/pipeline/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "agent/base/log.h"

namespace stickmesh::pipeline {

namespace {

// An entry of a replicated table has one contribution: every value's total is that value.
Merges replicated_merges() {
  Merges merges{};
  for (std::size_t index = 0; index < kDataTypeCount; ++index) {
    switch (kDataTypes[index].kind) {
      case ValueKind::kRate:
        merges[index] = Merge::kRate;
        break;
      case ValueKind::kDictionary:
      case ValueKind::kSigned32:
        merges[index] = Merge::kLastChange;
        break;
      case ValueKind::kUnsigned32:
      case ValueKind::kUnsigned64:
        merges[index] = Merge::kMax;
        break;
    }
  }
  return merges;
}

// Open connections are each instance's own.
TableDefinition replicated_part(TableDefinition definition) {
  std::erase_if(definition.types, [](const StoredType& stored) { return stored.type == DataType::kConnCur; });
  return definition;
}

}  // namespace

Registry::Registry(const Rules& rules, std::size_t max_memory, std::size_t max_origins,
                   std::uint64_t hash_seed)
    : rules_(rules), budget_(max_memory), origins_(max_origins), shared_{budget_,
                                                                         origins_,
                                                                         texts_,
                                                                         lamport_,
                                                                         hash_seed,
                                                                         [this] { purge_largest(); }} {}

Error Registry::no_place_for(std::string_view origin) const {
  return {Reason::kTooManyOrigins,
          fmt::format("'{}' is one more than [peers] max-origins = {} allows", origin, origins_.limit())};
}

TableRecord* Registry::find(std::string_view name) {
  const auto found = tables_.find(name);
  return found == tables_.end() ? nullptr : &found->second;
}

TableRecord* Registry::find_output(std::string_view output) {
  for (auto& [name, record] : tables_) {
    if (record.output && !output.empty() && record.output->name() == output) return &record;
  }
  return nullptr;
}

TableRecord& Registry::add(const TableDefinition& definition, std::size_t max_entries, TimePoint now) {
  const std::string name(canonical_name(definition.name));
  TableDefinition standing = definition;
  standing.name = name;
  const Treatment treatment = rules_.treat(name);
  const bool replicated = treatment.kind == Treatment::Kind::kReplicate;
  const Merges merges = replicated                  ? replicated_merges()
                        : treatment.rule != nullptr ? treatment.rule->merges
                                                    : default_merges();
  if (replicated) standing = replicated_part(standing);

  TableRecord& record = tables_[name];
  record.replicated = replicated;
  record.table =
      std::make_unique<store::Table>(name, standing, merges, max_entries, shared_, now, replicated);
  record.servers = std::make_unique<ServerPairs>(texts_);
  track(record);
  if (replicated) {
    record.output = std::make_unique<Output>(*record.table, now);
    log::info("table {}: {}; it is replicated", name, describe(standing));
  } else if (treatment.kind == Treatment::Kind::kAggregate) {
    record.output = std::make_unique<Output>(*record.table, treatment.output, treatment.rule->copies, now);
    log::info("table {}: {}; its total is published as {}", name, describe(standing), treatment.output);
  } else {
    if (rules_.mirrors(name) || rules_.watched())
      record.output = std::make_unique<Output>(*record.table, "", Output::Copies{}, now);
    log::info("table {}: {}; no rule publishes it", name, describe(standing));
  }
  if (record.output) ++outputs_number_;
  return record;
}

void Registry::track(store::Tracking tracking) {
  tracking_ = tracking;
  for (auto& [name, record] : tables_) track(record);
}

void Registry::track(TableRecord& record) const {
  record.table->track(tracking_);
  if (tracking_ == store::Tracking::kNothing) {
    record.relay.reset();
  } else if (!record.relay) {
    record.relay = std::make_unique<Relay>(*record.table);
  }
}

TableRecord& Registry::declare(const TableDefinition& definition, std::size_t max_entries, TimePoint now) {
  TableRecord& record = add(definition, max_entries, now);
  record.declared = true;
  return record;
}

Result<TableRecord*> Registry::restore(const TableDefinition& definition, bool replicated, TimePoint now) {
  const std::string_view name = canonical_name(definition.name);
  const Treatment::Kind kind = rules_.treat(name).kind;
  if (kind == Treatment::Kind::kOutput) return refuse(Reason::kDefinitionMismatch, "agents publish it now");
  if ((kind == Treatment::Kind::kReplicate) != replicated) {
    return refuse(Reason::kDefinitionMismatch,
                  replicated ? "no [[replicate]] rule has it any more" : "a [[replicate]] rule has it now");
  }
  TableRecord* record = find(name);
  if (record == nullptr) {
    record = &add(definition, 0, now);
    record->restored = true;
  }
  if (const auto difference = store::mismatch(record->table->definition(), definition)) {
    if (record->declared) return refuse(Reason::kDefinitionMismatch, *difference + " in [[table]]");
    record->table->redefine(replicated ? replicated_part(definition) : definition, now);
  }
  extend(*record, definition);
  return record;
}

TableRecord& Registry::define(store::OriginId origin, const TableDefinition& definition, TimePoint now) {
  TableRecord* record = find(canonical_name(definition.name));
  if (record == nullptr) record = &add(definition, 0, now);
  const auto known = record->definitions.find(origin);
  if (known == record->definitions.end() || known->second != definition) {
    record->definitions[origin] = definition;
    settle_definition(*record, now);
  }
  // Otherwise no change of it would ever outlive the snapshots.
  if (record->restored && !store::mismatch(record->table->definition(), definition)) {
    record->table->change_expire(definition.expire, now);
    record->restored = false;
  }
  extend(*record, definition);
  return *record;
}

// Without room for the longer rows the types that are missing stay so: `PeerLink::fit` says it.
void Registry::extend(TableRecord& record, const TableDefinition& definition) {
  if (store::mismatch(record.table->definition(), definition)) return;
  static_cast<void>(record.table->extend(record.replicated ? replicated_part(definition) : definition));
}

std::uint64_t Registry::redefinitions() const {
  return std::accumulate(
      tables_.begin(), tables_.end(), std::uint64_t{0},
      [](std::uint64_t sum, const auto& named) { return sum + named.second.table->redefinitions(); });
}

void Registry::settle_definitions(TimePoint now) {
  for (auto& [name, record] : tables_) settle_definition(record, now);
}

void Registry::forget_definitions(store::OriginId origin) {
  for (auto& [name, record] : tables_) record.definitions.erase(origin);
  forget_servers(origin);
}

void Registry::forget_servers(store::OriginId origin) {
  for (auto& [name, record] : tables_) record.servers->forget(origin);
}

void Registry::settle_definition(TableRecord& record, TimePoint now) {
  if (record.declared) return;
  struct Vote {
    const TableDefinition* definition = nullptr;
    std::size_t count = 0;
    std::string_view smallest;
  };
  Vote winner;
  for (const auto& [origin, definition] : record.definitions) {
    if (!origins_[origin].present) continue;
    Vote vote{&definition, 0, {}};
    for (const auto& [other, said] : record.definitions) {
      if (!origins_[other].present || store::mismatch(definition, said)) continue;
      ++vote.count;
      if (vote.smallest.empty() || origins_[other].name < vote.smallest) vote.smallest = origins_[other].name;
    }
    if (vote.count > winner.count || (vote.count == winner.count && vote.smallest < winner.smallest))
      winner = vote;
  }
  store::Table& table = *record.table;
  if (winner.definition == nullptr || !store::mismatch(table.definition(), *winner.definition)) return;
  log::notice(
      "table {}: '{}' stands instead of '{}', as {} of the present instances have it; its entries are "
      "dropped",
      table.name(), describe(*winner.definition), describe(table.definition()), winner.count);
  table.redefine(record.replicated ? replicated_part(*winner.definition) : *winner.definition, now);
  // The others that fit may store types of their own, and need not define the table again to send them.
  for (const auto& [origin, definition] : record.definitions) {
    if (origins_[origin].present) extend(record, definition);
  }
}

std::optional<std::string> Registry::mismatch(const TableRecord& record, store::OriginId origin,
                                              const TableDefinition& definition) const {
  const TableDefinition& standing = record.table->definition();
  const auto difference = store::mismatch(standing, definition);
  if (!difference) return std::nullopt;
  return fmt::format("table {}: {}; {} says '{}' where '{}' stands: make haproxy.cfg of all instances alike",
                     record.table->name(), *difference, origins_[origin].name, describe(definition),
                     describe(standing));
}

void Registry::purge_largest() {
  const auto largest =
      std::max_element(tables_.begin(), tables_.end(), [](const auto& left, const auto& right) {
        return left.second.table->memory() < right.second.table->memory();
      });
  if (largest == tables_.end() || !largest->second.table->purge_oldest()) return;
  if (!largest->second.purging) {
    log::warning(
        "table {} is purging: [agent] max-memory is nearly used up, so its oldest entries make room for new "
        "ones "
        "and its totals are too low",
        largest->first);
  }
  largest->second.purging = true;
}

}  // namespace stickmesh::pipeline
