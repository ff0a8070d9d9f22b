#include "agent/pipeline/relayed_inputs.h"

#include <algorithm>

namespace stickmesh::pipeline {

store::Copy RelayedInput::copy(const peers::Update& update, TimePoint now) const {
  store::Copy copy;
  copy.origin = origin;
  copy.version = {update.version.generation, update.version.update_id};
  copy.key = update.key;
  copy.cells = update.cells;
  copy.server_key = update.server_key;
  copy.changes = update.version.changes;
  copy.expires = now + update.remaining;
  copy.cleared = update.version.cleared;
  copy.writer = writer;
  return copy;
}

RelayedInputs::Defined RelayedInputs::define(const TableDefinition& definition, TimePoint now) {
  const RelayedName name = split_relayed(definition.name);
  if (name.origin.empty() || !definition.versioned) return {};
  const Treatment::Kind kind = registry_.rules().treat(name.table).kind;
  if (kind == Treatment::Kind::kOutput) return {};
  if (name.writer && kind != Treatment::Kind::kReplicate) return {};
  const auto origin = registry_.origins().intern(name.origin);
  if (!origin) return {{}, registry_.no_place_for(name.origin)};
  std::optional<store::OriginId> writer = store::kNobody;
  if (name.writer && !name.writer->empty()) writer = registry_.origins().intern(*name.writer);
  if (!writer) return {{}, registry_.no_place_for(*name.writer)};

  TableDefinition plain = definition;
  plain.name = name.table;
  plain.versioned = false;
  TableRecord& record = registry_.define(*origin, plain, now);
  const auto [known, fresh] =
      handles_.try_emplace({&record, *origin, *writer}, static_cast<std::uint32_t>(inputs_.size()));
  if (fresh) inputs_.emplace_back();
  RelayedInput& input = inputs_[known->second];
  input.record = &record;
  input.origin = *origin;
  input.writer = *writer;
  input.definition = std::move(plain);
  return {known->second, fit_anew(input)};
}

std::optional<Error> RelayedInputs::fit(RelayedInput& input) const {
  if (input.layout_number == input.record->table->layout_number()) return std::nullopt;
  return fit_anew(input);
}

std::optional<Error> RelayedInputs::fit_anew(RelayedInput& input) const {
  const store::Table& table = *input.record->table;
  input.layout_number = table.layout_number();
  const auto problem = registry_.mismatch(*input.record, input.origin, input.definition);
  input.plan = problem ? store::Plan{} : store::make_plan(input.definition, table.layout());
  if (input.record->replicated) input.plan.types = ~0U;
  if (!problem) return std::nullopt;
  return Error{Reason::kDefinitionMismatch, *problem};
}

bool RelayedInputs::names(store::OriginId origin) const {
  return std::any_of(inputs_.begin(), inputs_.end(), [&](const RelayedInput& input) {
    return input.origin == origin || input.writer == origin;
  });
}

}  // namespace stickmesh::pipeline
