#include <fmt/format.h>

#include <algorithm>

#include "agent/pipeline/peer_link.h"

namespace stickmesh::pipeline {

static_assert(store::kTextNone == peers::kServerKeyNone && store::kTextSet == peers::kServerKeySet &&
              store::kTextUnchanged == peers::kServerKeyUnchanged);

namespace {

// A handle of a table that we write: the rest is the subscription's index.
constexpr std::uint32_t kShown = std::uint32_t{1} << 31U;
constexpr std::uint32_t kHalfCircle = std::uint32_t{1} << 31U;

/// Whether an update that is so far |ahead| of the last live one is of an entry that was taught or pushed to
/// the instance.
bool is_given(std::uint32_t ahead) {
  return ahead - kHalfCircle / 2 < kHalfCircle;
}

}  // namespace

bool PeerLink::clashes(const TableDefinition& definition, TimePoint now) {
  const auto [known, fresh] = wire_names_.emplace(canonical_name(definition.name), definition.name);
  if (fresh || known->second == definition.name) return false;
  const auto [problem, said] = clashes_.emplace(
      definition.name,
      fmt::format("announces both '{}' and '{}': the second is left out; give the table of the peers section "
                  "or the one of the proxy another name",
                  known->second, definition.name));
  if (said) complain({Reason::kDefinitionMismatch, problem->second}, now);
  return true;
}

std::optional<std::uint32_t> PeerLink::table_defined(const TableDefinition& definition, TimePoint now) {
  if (mesh_) return mesh_->table_defined(definition, now);
  if (definition.name.find('@') != std::string::npos) {
    const auto [known, fresh] = clashes_.emplace(
        definition.name, fmt::format("tells '{}', as only agents do: set kind = \"agent\" for '{}' in {}",
                                     definition.name, peer_->setup.name, hub_.setup().config_file));
    if (fresh) complain({Reason::kNotItsOrigin, known->second}, now);
    return std::nullopt;
  }
  if (clashes(definition, now)) return std::nullopt;
  const std::string_view table_name = canonical_name(definition.name);
  const Rules& rules = hub_.registry().rules();
  const Treatment::Kind kind = rules.treat(table_name).kind;
  if (kind == Treatment::Kind::kOutput) {
    if (rules.is_status(table_name)) {
      if (auto fits = status_.announced(definition); !fits) complain(fits.error(), now);
      return std::nullopt;
    }
    if (rules.is_limits(table_name)) {
      if (auto fits = limits_.announced(definition); !fits) complain(fits.error(), now);
      return std::nullopt;
    }
    const auto subscription = subscriptions_.announced(definition);
    return subscription ? std::optional(kShown | static_cast<std::uint32_t>(*subscription)) : std::nullopt;
  }
  TableRecord& record = hub_.registry().define(peer_->origin, definition, now);
  Input& input = input_of(record, definition, now);
  if (input.definition != definition) {
    input.definition = definition;
    fit(input, now);
  }
  if (kind == Treatment::Kind::kReplicate) subscriptions_.announced(definition);
  return static_cast<std::uint32_t>(&input - inputs_.data());
}

Input& PeerLink::input_of(TableRecord& record, const TableDefinition& definition, TimePoint now) {
  const auto known =
      std::find_if(inputs_.begin(), inputs_.end(), [&](const Input& had) { return had.record == &record; });
  if (known != inputs_.end()) return *known;
  Input& input = inputs_.emplace_back();
  input.record = &record;
  input.definition = definition;
  input.redefinitions = record.table->redefinitions();
  input.live_id = &peer_->live_ids[record.table->name()];
  fit(input, now);
  return input;
}

void PeerLink::recall_inputs(TimePoint now) {
  for (auto& [name, record] : hub_.registry().tables()) {
    const auto said = record.definitions.find(peer_->origin);
    if (said != record.definitions.end()) input_of(record, said->second, now);
  }
}

// Makes the plan anew: someone else's definition may stand by now, for which this sender's values do not fit.
void PeerLink::fit(Input& input, TimePoint now) {
  const store::Table& table = *input.record->table;
  input.layout_number = table.layout_number();
  std::string problem = hub_.registry().mismatch(*input.record, peer_->origin, input.definition).value_or("");
  input.plan = problem.empty() ? store::make_plan(input.definition, table.layout()) : store::Plan{};
  // Each sender's values replace all that the entry had.
  if (input.record->replicated) input.plan.types = ~0U;
  if (!problem.empty() && problem != input.problem) complain({Reason::kDefinitionMismatch, problem}, now);
  const auto left_out = [&](const StoredType& stored) {
    return table.layout().find(stored.type) == nullptr &&
           !(input.record->replicated && stored.type == DataType::kConnCur);
  };
  if (problem.empty() &&
      std::any_of(input.definition.types.begin(), input.definition.types.end(), left_out)) {
    complain({Reason::kNoMemory,
              fmt::format("table {}: no room for all data types of '{}': raise [agent] max-memory",
                          table.name(), describe(input.definition))},
             now);
  }
  input.problem = std::move(problem);
}

void PeerLink::fit_all(TimePoint now) {
  for (Input& input : inputs_) {
    const store::Table& table = *input.record->table;
    if (input.layout_number != table.layout_number()) fit(input, now);
    if (std::exchange(input.redefinitions, table.redefinitions()) == table.redefinitions()) continue;
    // The entries were dropped, and with them what this instance had said.
    if (input.problem.empty()) ask(now);
  }
}

void PeerLink::updated(std::uint32_t handle, const peers::Update& update, TimePoint now) {
  if (mesh_) return mesh_->updated(handle, update, now);
  if ((handle & kShown) != 0) {
    // What the agent publishes it never counts as input.
    return subscriptions_.shown(handle & ~kShown, update, now);
  }
  Input& input = inputs_[handle];
  store::Table& table = *input.record->table;
  if (input.layout_number != table.layout_number()) fit(input, now);
  if (input.plan.steps.empty()) return;
  ++input.updates;
  const bool expires = table.definition().expire.count() != 0;
  if (update.timed && expires && update.remaining.count() == 0) return;
  hear_server(input, update);
  store::Change change{peer_->origin,          {}, update.key, update.cells, update.server_key,
                       store::LifeKind::kAnew, {}};
  change.version = {peer_->generation, own_number(input, update)};
  change.keep_larger = keeps_larger_ && !(taught_ && update.lesson);
  if (update.timed) {
    change.life = store::LifeKind::kRemaining;
    change.remaining = update.remaining;
  }
  const store::Applied applied =
      input.record->replicated ? replicate(input, update, change, now) : table.apply(input.plan, change, now);
  switch (applied) {
    case store::Applied::kNoMemory:
      hub_.errors().record({Reason::kNoMemory, "no room for a new key: raise [agent] max-memory"},
                           "table " + table.name(), now);
      break;
    case store::Applied::kKept:
      kept_larger_ = true;
      break;
    case store::Applied::kChanged:
    case store::Applied::kRefreshed:
    case store::Applied::kStale:
    case store::Applied::kCleared:
      break;
  }
}

// What it was given is someone else's word.
void PeerLink::hear_server(const Input& input, const peers::Update& update) {
  if (update.server_key.empty() || is_given(update.update_id - *input.live_id)) return;
  input.record->servers->hear(*input.record->table, peer_->origin, update.key,
                              server_id(input.definition, update.cells), update.server_key);
}

// HAProxy has one counter for the changes of a table. What it learned stands half the circle away from the
// place in that count at which it did.
std::uint32_t PeerLink::own_number(Input& input, const peers::Update& update) {
  const std::uint32_t ahead = update.update_id - *input.live_id;
  const bool newer = static_cast<std::int32_t>(ahead) > 0 || *input.live_id == 0;
  if (newer && !update.lesson && !input.record->replicated) *input.live_id = update.update_id;
  return is_given(ahead) ? update.update_id - kHalfCircle : update.update_id;
}

// DESIGN, "How tables are treated": the last change wins. An instance's numbers rise with its own changes;
// what it learned has numbers half the circle away, and what it sends again has numbers that we know.
store::Applied PeerLink::replicate(Input& input, const peers::Update& update, store::Change& change,
                                   TimePoint now) {
  store::Table& table = *input.record->table;
  const std::uint32_t ahead = update.update_id - *input.live_id;
  const bool first = *input.live_id == 0 && !update.lesson;
  const bool newer = ahead != 0 && (first || ahead < kHalfCircle / 2);
  if (newer && !update.lesson) *input.live_id = update.update_id;
  // The agent that publishes to the instance takes its changes, and tells us.
  if (publishing_ == Hub::Publishing::kElsewhere) return store::Applied::kStale;
  const store::EntryId entry = table.find(update.key);
  const bool held = entry != store::kNone && table.live(table.first(entry), now);
  // An entry that it was given and has changed since keeps, in some versions, the number of the gift. At the
  // beginning of a session that could also be an old copy, of which the old process of a reload told it.
  const bool given = is_given(ahead);
  const bool changed_there = auditing_ && update.lesson && held && given &&
                             input.record->output->is_news_to(peer_->origin, entry) &&
                             subscriptions_.has_another(*input.record, update, now);
  if (held && !newer && !changed_there) return store::Applied::kStale;
  // An older state that is on its way there may replace, at the instance, the one that it sends now.
  const bool crossed = held && subscriptions_.in_flight(*input.record, entry);
  change.origin = hub_.own_origin();
  change.version = hub_.registry().next_change();
  change.keep_larger = false;
  const store::Applied applied = table.apply(input.plan, change, now);
  if (applied != store::Applied::kNoMemory) {
    table.set_writer(table.first(table.find(update.key)), crossed ? store::kNobody : peer_->origin);
  }
  return applied;
}

bool PeerLink::clear_at_instance(const TableRecord& record, store::EntryId entry, TimePoint now) {
  const auto input =
      std::find_if(inputs_.begin(), inputs_.end(), [&](const Input& had) { return had.record == &record; });
  if (!synchronised_ || input == inputs_.end() || !input->problem.empty()) return false;
  const store::ContributionId id = record.table->find(entry, peer_->origin);
  if (id == store::kNone) return false;
  restorer_.tell_cleared(
      {session_, static_cast<std::size_t>(input - inputs_.begin()), *record.table, peer_->origin},
      input->definition, id, now);
  return true;
}

}  // namespace stickmesh::pipeline
