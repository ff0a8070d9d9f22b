#include "agent/pipeline/registry.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/base/log.h"

namespace stickmesh::pipeline {

Registry::Registry(const Rules& rules, std::size_t max_memory, std::size_t max_origins,
                   std::uint64_t hash_seed)
    : rules_(rules), budget_(max_memory), origins_(max_origins), shared_{budget_,
                                                                         origins_,
                                                                         texts_,
                                                                         lamport_,
                                                                         hash_seed,
                                                                         [this] { purge_largest(); }} {}

TableRecord* Registry::find(std::string_view name) {
  const auto found = tables_.find(name);
  return found == tables_.end() ? nullptr : &found->second;
}

TableRecord* Registry::find_output(std::string_view output) {
  for (auto& [name, record] : tables_) {
    if (record.output && record.output->name() == output) return &record;
  }
  return nullptr;
}

TableRecord& Registry::add(const TableDefinition& definition, std::size_t max_entries, TimePoint now) {
  const std::string name(canonical_name(definition.name));
  TableDefinition standing = definition;
  standing.name = name;
  const Treatment treatment = rules_.treat(name);
  const Merges merges = treatment.rule != nullptr ? treatment.rule->merges : default_merges();

  TableRecord& record = tables_[name];
  record.table = std::make_unique<store::Table>(name, standing, merges, max_entries, shared_, now);
  if (treatment.kind == Treatment::Kind::kAggregate) {
    record.output = std::make_unique<Output>(*record.table, treatment.output, treatment.rule->copies, now);
    ++outputs_number_;
    log::info("table {}: {}; its total is published as {}", name, describe(standing), treatment.output);
  } else {
    log::info("table {}: {}; no rule publishes it", name, describe(standing));
  }
  return record;
}

TableRecord& Registry::declare(const TableDefinition& definition, std::size_t max_entries, TimePoint now) {
  TableRecord& record = add(definition, max_entries, now);
  record.declared = true;
  return record;
}

Result<TableRecord*> Registry::define(store::OriginId origin, const TableDefinition& definition,
                                      TimePoint now) {
  TableRecord* record = find(canonical_name(definition.name));
  if (record == nullptr) {
    record = &add(definition, 0, now);
    record->definitions.emplace(origin, definition);
    return record;
  }
  record->definitions[origin] = definition;
  const auto difference = store::mismatch(record->table->definition(), definition);
  if (!difference) {
    record->table->extend(definition);
    return record;
  }
  const bool held =
      std::any_of(record->definitions.begin(), record->definitions.end(), [&](const auto& said) {
        return said.first != origin && origins_[said.first].present &&
               !store::mismatch(record->table->definition(), said.second);
      });
  if (held || record->declared) {
    return refuse(
        Reason::kDefinitionMismatch,
        fmt::format("table {}: {}; {} says '{}' where '{}' stands: make haproxy.cfg of all instances alike",
                    record->table->name(), *difference, origins_[origin].name, describe(definition),
                    describe(record->table->definition())));
  }
  log::notice("table {}: {} replaces its definition '{}' by '{}'; its entries are dropped",
              record->table->name(), origins_[origin].name, describe(record->table->definition()),
              describe(definition));
  record->table->redefine(definition, now);
  return record;
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
