#include "agent/pipeline/mesh_link.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "agent/pipeline/accepted_origin.h"
#include "agent/pipeline/peer_link.h"

namespace stickmesh::pipeline {

namespace {

constexpr Duration kAskAgain{1000};
// By how much Redis's clock may be ahead of ours.
constexpr std::chrono::minutes kClocksDiffer{1};
// A session may be told of every table of every origin.
constexpr std::size_t kMaxOrigins = 256;

}  // namespace

MeshLink::MeshLink(Hub& hub, peers::PeerSession& session, Peer& peer)
    : hub_(hub),
      session_(session),
      peer_(peer),
      inputs_(hub.registry()),
      sending_(hub.registry(), session, kFirstTable, TableSending::To::kAgent) {
  hub_.fellows_.push_back(this);
}

MeshLink::~MeshLink() {
  std::erase(hub_.fellows_, this);
  hub_.release_origins();
}

void MeshLink::established(TimePoint now) {
  session_.set_max_tables(hub_.setup().max_tables * kMaxOrigins);
  send_row(hub_.setup().agent_name, encode_row(rules_row()));
  // Whether it is the same as before, and so what it is to be asked for, its first row says.
  send_agent_row(now, /*behind=*/false);
}

RulesRow MeshLink::rules_row() const {
  return {hub_.registry().rules().digest(), static_cast<std::uint32_t>(hub_.limits().digest())};
}

Fellowship::Taught MeshLink::its_state() const {
  return {agent_.start, agent_.losses, hub_.registry().redefinitions()};
}

void MeshLink::ask_if_needed(TimePoint now) {
  if (!speaks() || (asked_ && agent_.losses == asked_->losses)) return;
  // What one that is gone has told another alone only that one has.
  const bool lacks = hub_.lacks_agent_besides(peer_);
  if (asked_) return lacks ? ask(now, false) : void();
  const Fellowship::Taught state = its_state();
  const auto& before = peer_.fellowship.taught;
  ask(now, before && state.start != 0 && state.start == before->start &&
               state.redefinitions == before->redefinitions && !(lacks && state.losses != before->losses));
}

void MeshLink::ask(TimePoint now, bool goes_on) {
  ask_again_.reset();
  goes_on_ = goes_on;
  asked_ = goes_on ? peer_.fellowship.taught : its_state();
  send_agent_row(now, /*behind=*/false);
  session_.request_lesson(now);
}

void MeshLink::lesson_ended(bool complete, TimePoint now) {
  answered_ = true;
  taught_ |= complete;
  if (complete) peer_.fellowship.taught = asked_;
  if (!complete) ask_again_ = now + kAskAgain;
  hub_.wake();
}

Fellowship MeshLink::fellowship() const {
  Fellowship fellowship = peer_.fellowship;
  if (auto taken = sending_.taken()) {
    fellowship.taken = std::move(taken);
    fellowship.taker = agent_.start;
  }
  return fellowship;
}

void MeshLink::interrupted() {
  peer_.fellowship = fellowship();
}

void MeshLink::complain(const Error& error, TimePoint now) {
  hub_.errors().record(error, peer_.setup.name, now);
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
      complain({Reason::kDefinitionMismatch,
                fmt::format("its {} is '{}', of another version: upgrade the older agent", kMeshTable,
                            describe(definition))},
               now);
      return std::nullopt;
    }
    return kRows;
  }
  const RelayedName name = split_relayed(definition.name);
  // Who has written what is between two processes of one agent.
  if (name.writer) return std::nullopt;
  if (!name.origin.empty()) hub_.spare_incarnation(name.origin);
  const RelayedInputs::Defined defined = inputs_.define(definition, now);
  if (defined.problem) complain(*defined.problem, now);
  if (defined.handle) inputs_[*defined.handle].its_own = name.origin.starts_with(peer_.setup.name + "#");
  return defined.handle;
}

void MeshLink::updated(std::uint32_t handle, const peers::Update& update, TimePoint now) {
  if (handle == kRows) return take_row(update, now);
  RelayedInput& input = inputs_[handle];
  if (!may_say(input, update)) {
    return refuse_it(Reason::kNotItsOrigin, fmt::format("tells what '{}' has counted, to whom it is not home",
                                                        hub_.registry().origins()[input.origin].name));
  }
  if (!within_bounds(update.version)) {
    return refuse_it(Reason::kValueOutOfRange,
                     fmt::format("tells of a generation or a change of '{}' that nobody can have counted to",
                                 hub_.registry().origins()[input.origin].name));
  }
  if (!may_be_read(input, update.version)) {
    return complain(
        {Reason::kValueOutOfRange,
         fmt::format("it tells of what Redis will have at a time that is more than a minute ahead "
                     "of this agent's clock, in {}: left out",
                     input.record->table->name())},
        now);
  }
  if (const auto problem = inputs_.fit(input)) complain(*problem, now);
  if (!input.plan.steps.empty()) adopt(input, update, now);
}

// One past all others would stand for ever.
bool MeshLink::within_bounds(const peers::VersionField& version) {
  return version.generation <= store::kMaxGeneration &&
         std::all_of(version.changes.begin(), version.changes.end(),
                     [](std::uint64_t change) { return change <= store::kMaxChangeNumber; });
}

// What is of the future would stand until then, whatever Redis says. It is no reason to end a session: clocks
// may just differ.
bool MeshLink::may_be_read(const RelayedInput& input, const peers::VersionField& version) const {
  if (hub_.registry().origins()[input.origin].name != kAcceptedOrigin) return true;
  const auto latest = hub_.setup().wall_clock().time_since_epoch() + kClocksDiffer;
  return !store::Version{version.generation, version.update_id}.newer_than(
      accepted_version(std::chrono::duration_cast<std::chrono::microseconds>(latest)));
}

bool MeshLink::may_say(const RelayedInput& input, const peers::Update& update) const {
  return update.lesson || update.version.cleared || input.its_own || had_home_.contains(input.origin) ||
         hub_.registry().origins()[input.origin].name == kAcceptedOrigin;
}

void MeshLink::adopt(RelayedInput& input, const peers::Update& update, TimePoint now) {
  // What others hold of our own counts can't be newer than what we hold, but for an operator's word.
  if (input.origin == hub_.own_origin() && !update.version.cleared) return;
  store::Table& table = *input.record->table;
  store::Copy copy = input.copy(update, now);
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

bool MeshLink::clear_here(const RelayedInput& input, store::EntryId entry, const peers::Update& update,
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
  return row(origin) != nullptr || inputs_.names(origin);
}

std::optional<TimePoint> MeshLink::next_run() const {
  if (in_lesson_ && session_.pending().empty()) return TimePoint{};
  std::optional<TimePoint> next = ask_again_;
  if (!blocked_ && (!next || next_row_ < *next)) next = next_row_;
  return next;
}

}  // namespace stickmesh::pipeline
