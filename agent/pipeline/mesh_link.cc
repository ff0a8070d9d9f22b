#include "agent/pipeline/mesh_link.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/pipeline/peer_link.h"

namespace stickmesh::pipeline {

namespace {

constexpr Duration kAskAgain{1000};
// A session may be told of every table of every origin.
constexpr std::size_t kMaxOrigins = 256;

}  // namespace

MeshLink::MeshLink(Hub& hub, peers::PeerSession& session, Peer& peer)
    : hub_(hub), session_(session), peer_(peer) {
  hub_.fellows_.push_back(this);
}

MeshLink::~MeshLink() {
  std::erase(hub_.fellows_, this);
  hub_.release_origins();
}

void MeshLink::established(TimePoint now) {
  session_.set_max_tables(hub_.setup().max_tables * kMaxOrigins);
  ask(now);
}

void MeshLink::ask(TimePoint now) {
  ask_again_.reset();
  session_.request_lesson(now);
}

void MeshLink::lesson_ended(bool complete, TimePoint now) {
  answered_ = true;
  taught_ |= complete;
  if (!complete) ask_again_ = now + kAskAgain;
  hub_.wake();
}

void MeshLink::no_place_for(std::string_view origin, TimePoint now) {
  hub_.errors().record(
      {Reason::kTooManyOrigins, fmt::format("'{}' is one more than [peers] max-origins = {} allows", origin,
                                            hub_.registry().origins().limit())},
      peer_.setup.name, now);
}

bool MeshLink::fresh(TimePoint now, Duration limit) const {
  // A session that another has replaced says nothing any more.
  const bool live = peer_.link != nullptr && peer_.link->mesh() == this;
  return live && current_ && now - *current_ < limit;
}

void MeshLink::refuse_it(Reason reason, std::string detail) {
  session_.close({reason, fmt::format("agent '{}' {}", peer_.setup.name, detail)});
}

std::optional<std::uint32_t> MeshLink::table_defined(const TableDefinition& definition, TimePoint now) {
  if (definition.name == kMeshTable) {
    TableDefinition rows = mesh_definition();
    rows.expire = definition.expire;
    if (definition != rows) {
      hub_.errors().record({Reason::kDefinitionMismatch,
                            fmt::format("its {} is '{}', of another version: upgrade the older agent",
                                        kMeshTable, describe(definition))},
                           peer_.setup.name, now);
      return std::nullopt;
    }
    return kRows;
  }
  const RelayedName name = split_relayed(definition.name);
  if (name.origin.empty() || !definition.versioned) return std::nullopt;
  if (hub_.registry().rules().treat(name.table).kind == Treatment::Kind::kOutput) return std::nullopt;
  hub_.spare_incarnation(name.origin);
  const auto origin = hub_.registry().origins().intern(name.origin);
  if (!origin) {
    no_place_for(name.origin, now);
    return std::nullopt;
  }
  TableDefinition plain = definition;
  plain.name = name.table;
  plain.versioned = false;
  TableRecord& record = hub_.registry().define(*origin, plain, now);
  auto known = std::find_if(inputs_.begin(), inputs_.end(), [&](const Input& input) {
    return input.record == &record && input.origin == *origin;
  });
  if (known == inputs_.end()) {
    known = inputs_.emplace(inputs_.end());
    known->record = &record;
    known->origin = *origin;
    known->its_own = name.origin.starts_with(peer_.setup.name + "#");
  }
  known->definition = std::move(plain);
  fit(*known, now);
  return static_cast<std::uint32_t>(known - inputs_.begin());
}

void MeshLink::fit(Input& input, TimePoint now) {
  const store::Table& table = *input.record->table;
  input.layout_number = table.layout_number();
  const auto problem = hub_.registry().mismatch(*input.record, input.origin, input.definition);
  input.plan = problem ? store::Plan{} : store::make_plan(input.definition, table.layout());
  if (input.record->replicated) input.plan.types = ~0U;
  if (problem) hub_.errors().record({Reason::kDefinitionMismatch, *problem}, peer_.setup.name, now);
}

void MeshLink::updated(std::uint32_t handle, const peers::Update& update, TimePoint now) {
  if (handle == kRows) return take_row(update, now);
  Input& input = inputs_[handle];
  if (!may_say(input, update)) {
    return refuse_it(Reason::kNotItsOrigin, fmt::format("tells what '{}' has counted, to whom it is not home",
                                                        hub_.registry().origins()[input.origin].name));
  }
  if (!within_bounds(update.version)) {
    return refuse_it(Reason::kValueOutOfRange,
                     fmt::format("tells of a generation or a change of '{}' that nobody can have counted to",
                                 hub_.registry().origins()[input.origin].name));
  }
  if (input.layout_number != input.record->table->layout_number()) fit(input, now);
  if (!input.plan.steps.empty()) adopt(input, update, now);
}

// One past all others would stand for ever.
bool MeshLink::within_bounds(const peers::VersionField& version) {
  return version.generation <= store::kMaxGeneration &&
         std::all_of(version.changes.begin(), version.changes.end(),
                     [](std::uint64_t change) { return change <= store::kMaxChangeNumber; });
}

bool MeshLink::may_say(const Input& input, const peers::Update& update) const {
  return update.lesson || update.version.cleared || input.its_own || had_home_.contains(input.origin);
}

void MeshLink::adopt(Input& input, const peers::Update& update, TimePoint now) {
  // What others hold of our own counts can't be newer than what we hold, but for an operator's word.
  if (input.origin == hub_.own_origin() && !update.version.cleared) return;
  store::Table& table = *input.record->table;
  store::Copy copy;
  copy.origin = input.origin;
  copy.version = {update.version.generation, update.version.update_id};
  copy.key = update.key;
  copy.cells = update.cells;
  copy.server_key = update.server_key;
  copy.changes = update.version.changes;
  copy.expires = now + update.remaining;
  copy.cleared = update.version.cleared;
  const store::EntryId entry = table.find(update.key);
  if (entry != store::kNone && !input.record->replicated) {
    if (clear_here(input, entry, update, now)) return;
    copy.owed = copy.cleared && hub_.owes(input.origin);
  }
  if (!input.record->replicated) hub_.learn_generation(input.origin, copy.version.generation, 0);
  // A lesson has also what a process before this one has said, and a replicated entry does not say whose it
  // is.
  if (!input.record->replicated && !update.lesson && !update.server_key.empty()) {
    input.record->servers->hear(table, input.origin, update.key, server_id(input.definition, update.cells),
                                update.server_key);
  }
  if (table.adopt(input.plan, copy, now) == store::Applied::kNoMemory) {
    hub_.errors().record({Reason::kNoMemory, "no room for a new key: raise [agent] max-memory"},
                         "table " + table.name(), now);
  }
}

bool MeshLink::clear_here(const Input& input, store::EntryId entry, const peers::Update& update,
                          TimePoint now) {
  store::Table& table = *input.record->table;
  const store::ContributionId id = table.find(entry, input.origin);
  Peer* home = hub_.instance(input.origin);
  if (id == store::kNone || home == nullptr || home->link == nullptr) return false;
  // Until the instance has heard of it, what it and others say of the key is of before.
  if (table.owed(id)) return true;
  if (!update.version.cleared || update.lesson || table.cleared_contribution(id)) return false;
  table.clear_contribution(id, now, /*owed=*/true);
  home->link->clear_at_instance(*input.record, entry, now);
  return true;
}

bool MeshLink::names(store::OriginId origin) const {
  return row(origin) != nullptr || std::any_of(inputs_.begin(), inputs_.end(),
                                               [&](const Input& input) { return input.origin == origin; });
}

std::uint64_t MeshLink::backlog() const {
  std::uint64_t waiting = 0;
  for (const Sending& sending : sending_) waiting += backlog(sending);
  return waiting;
}

std::uint64_t MeshLink::backlog(const Sending& sending) {
  const store::ChangeFeed& feed = sending.record->relay->feed();
  return feed.size() - feed.after(sending.cursor);
}

std::optional<TimePoint> MeshLink::next_run() const {
  if (in_lesson_ && session_.pending().empty()) return TimePoint{};
  std::optional<TimePoint> next = ask_again_;
  if (!blocked_ && (!next || next_row_ < *next)) next = next_row_;
  return next;
}

}  // namespace stickmesh::pipeline
