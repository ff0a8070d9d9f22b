#include <fmt/format.h>

#include <algorithm>

#include "agent/pipeline/mesh_link.h"
#include "agent/pipeline/peer_link.h"

namespace stickmesh::pipeline {

namespace {

// Twice as often as a mark needs it, so that a row that is late makes nobody stale.
constexpr Duration kRowInterval{250};
constexpr std::size_t kNumbersKept = 64;
// Nearly as long as an agent waits before it publishes in another's place.
constexpr Duration kSilent{1000};

}  // namespace

void MeshLink::lesson_requested(TimePoint /*now*/) {
  lesson_asked_ = true;
  hub_.wake();
}

void MeshLink::run(TimePoint now) {
  if (ask_again_ && now >= *ask_again_) ask(now, goes_on_);
  const std::uint32_t reuses = hub_.registry().origins().reuses();
  if (std::exchange(reuses_, reuses) != reuses) told_.clear();
  // The entries were dropped, and with them what others had told.
  if (sending_.look_for_tables()) ask(now, false);
  ask_if_needed(now);
  if (losses() != losses_told_) send_agent_row(now, /*behind=*/false);
  send_rows();
  send_limits();
  if (std::exchange(lesson_asked_, false)) begin_lesson();
  blocked_ = in_lesson_ && !sending_.send_lesson(now);
  if (blocked_) return;
  if (std::exchange(in_lesson_, false)) session_.finish_lesson(hub_.learned(), now);
  // Before it has asked it is not known where they begin.
  blocked_ = began_ && !sending_.send_changes(now);
  if (!blocked_ && now >= next_row_) send_agent_row(now, /*behind=*/began_);
}

void MeshLink::begin_lesson() {
  in_lesson_ = began_ = true;
  const auto& taken = peer_.fellowship.taken;
  teaches_rest_ = agent_.goes_on && taken && peer_.fellowship.taker == agent_.start;
  sending_.begin_lesson(teaches_rest_ ? &*taken : nullptr);
}

void MeshLink::send_row(std::string_view key, const MeshCells& cells) {
  if (++row_id_ == 0) ++row_id_;
  encoder_.begin(row_id_, std::nullopt);
  encoder_.key(KeyType::kString, as_bytes(key));
  for (const std::uint64_t cell : cells) encoder_.number(cell);
  session_.select(kRowTable, mesh_definition());
  session_.append_update(encoder_.finish());
}

OriginRow MeshLink::row_of(const Peer* home, store::OriginId id) const {
  const store::Origin& origin = hub_.registry().origins()[id];
  OriginRow row;
  row.generation = origin.generation;
  row.process = origin.process;
  if (home == nullptr || home->link == nullptr) return row;
  row.home = true;
  row.synchronised = home->link->synchronised();
  row.publishes = Hub::sends(home->link->publishing());
  row.publications = home->publications % kPublicationsKept;
  row.generation = home->generation;
  row.process = home->process;
  return row;
}

// Only instances have more than one generation, and somebody who is home to them.
void MeshLink::send_rows() {
  const store::Origins& origins = hub_.registry().origins();
  told_.resize(origins.size());
  for (store::OriginId id = 0; id < origins.size(); ++id) {
    const Peer* home = hub_.instance(id);
    if (home == nullptr && (origins[id].generation == 0 || is_incarnation(origins[id].name))) continue;
    const OriginRow row = row_of(home, id);
    if (row.generation == 0 || told_[id] == row) continue;
    told_[id] = row;
    send_row(origins[id].name, encode_row(row));
  }
}

void MeshLink::send_limits() {
  const Limits& limits = hub_.limits();
  if (std::exchange(limits_told_, limits.changes()) == limits.changes()) return;
  for (const Limit& limit : limits.all()) {
    if (limit.changed_at != 0) send_row(limit.name, encode_row(LimitRow{limit.changed, limit.changed_at}));
  }
}

std::uint32_t MeshLink::losses() const {
  return (hub_.losses_ - peer_.fellowship.losses) % kLossesKept;
}

void MeshLink::send_agent_row(TimePoint now, bool behind) {
  next_row_ = now + kRowInterval;
  losses_told_ = losses();
  if (++number_ == 0) ++number_;
  numbers_.emplace_back(number_, now);
  if (numbers_.size() > kNumbersKept) numbers_.pop_front();
  send_row(hub_.setup().agent_name,
           encode_row(AgentRow{hub_.learned(), goes_on_, number_, behind ? agent_.number : 0, hub_.start_,
                               losses_told_}));
}

void MeshLink::take_row(const peers::Update& update, TimePoint now) {
  const std::string name(as_text(update.key));
  if (const auto agent = decode_agent_row(update.cells)) {
    take_agent_row(name, *agent);
  } else if (const auto origin = decode_origin_row(update.cells)) {
    take_origin_row(name, *origin, now);
  } else if (const auto rules = decode_rules_row(update.cells)) {
    take_rules_row(name, *rules, now);
  } else if (const auto limit = decode_limit_row(update.cells)) {
    take_limit_row(name, *limit, now);
  }
}

bool MeshLink::its_own_row(const std::string& name) {
  if (name == peer_.setup.name) return true;
  refuse_it(Reason::kNotItsOrigin, fmt::format("writes the row of '{}' in {}", name, kMeshTable));
  return false;
}

void MeshLink::take_rules_row(const std::string& name, const RulesRow& row, TimePoint now) {
  if (!its_own_row(name)) return;
  problem_.clear();
  const RulesRow own = rules_row();
  if (row.digest != own.digest) {
    problem_ =
        "its [[aggregate]] and [[replicate]] rules and names of own tables are not those of this agent";
  } else if (row.limits != own.limits) {
    problem_ = "its [[limit]]s are not those of this agent";
  }
  if (problem_.empty()) return;
  complain({Reason::kRulesMismatch, problem_ + ": make them alike in the config of all agents"}, now);
}

void MeshLink::take_limit_row(const std::string& name, const LimitRow& row, TimePoint now) {
  if (const Limit* limit = hub_.limits().find(name); limit != nullptr) {
    hub_.learn_limit(name, row.value, row.changed_at);
    if (limit->changed_at >= row.changed_at) return;
    return complain(
        {Reason::kValueOutOfRange,
         fmt::format("says that the limit '{}' was changed at {}: no time", name, row.changed_at)},
        now);
  }
  complain(
      {Reason::kNotFound, fmt::format("speaks of the limit '{}', which is not in the config here", name)},
      now);
}

void MeshLink::take_agent_row(const std::string& name, const AgentRow& row) {
  if (!its_own_row(name)) return;
  agent_ = row;
  const auto returned = std::find_if(numbers_.begin(), numbers_.end(),
                                     [&](const auto& number) { return number.first == row.echo; });
  if (returned != numbers_.end()) {
    current_ = returned->second;
    numbers_.erase(numbers_.begin(), returned);
  }
  hub_.wake();
}

// Of what two agents send an instance at a time, the last to arrive stays, which may be the older.
void MeshLink::compare_totals(store::OriginId origin, TimePoint now) {
  Peer* peer = hub_.instance(origin);
  if (peer == nullptr) return;
  if (peer->link != nullptr) return peer->link->compare_totals(now);
  // What it had acknowledged may be overwritten: in its next session it is sent everything.
  peer->acknowledged.clear();
}

void MeshLink::ended(TimePoint now) {
  if (peer_.link != nullptr && peer_.link->mesh() == this) {
    interrupted();
    ++peer_.fellowship.losses;
    ++hub_.losses_;
    hub_.wake();
  }
  // Then it may have taken us for gone.
  const bool silent = !current_ || now - *current_ >= kSilent;
  for (store::OriginId origin = 0; origin < rows_.size(); ++origin) {
    const auto& row = rows_[origin];
    if (row && (row->publishes || (silent && row->home && row->synchronised))) compare_totals(origin, now);
  }
}

// While it was not heard.
bool MeshLink::has_published(store::OriginId origin, const OriginRow& row) const {
  if (!row.home) return false;
  const auto [known, first] = peer_.fellowship.publications.try_emplace(origin, row.publications);
  return std::exchange(known->second, row.publications) != row.publications ||
         (first && peer_.fellowship.losses != 0);
}

void MeshLink::take_origin_row(const std::string& name, const OriginRow& row, TimePoint now) {
  if (row.generation > store::kMaxGeneration) {
    return refuse_it(Reason::kValueOutOfRange,
                     fmt::format("says that '{}' is of generation {}", name, row.generation));
  }
  const auto id = hub_.instance_elsewhere(name, row.home, now);
  if (!id) return complain(hub_.registry().no_place_for(name), now);
  if (rows_.size() <= *id) rows_.resize(std::size_t{*id} + 1);
  const bool published = rows_[*id] && rows_[*id]->publishes;
  rows_[*id] = row;
  const bool has = !row.publishes && has_published(*id, row);
  if (has || (published && !row.publishes)) compare_totals(*id, now);
  if (row.home) had_home_.insert(*id);
  hub_.learn_generation(*id, row.generation, row.process);
  hub_.wake();
}

}  // namespace stickmesh::pipeline
