#include <fmt/format.h>

#include <algorithm>

#include "agent/pipeline/mesh_link.h"
#include "agent/pipeline/peer_link.h"

namespace stickmesh::pipeline {

namespace {

constexpr std::size_t kHighWater = 256 * 1024;
// Twice as often as a mark needs it, so that a row that is late makes nobody stale.
constexpr Duration kRowInterval{250};
constexpr std::size_t kNumbersKept = 64;
constexpr std::size_t kLookedAtOnce = 20'000;

}  // namespace

void MeshLink::lesson_requested(TimePoint /*now*/) {
  lesson_asked_ = true;
  hub_.wake();
}

void MeshLink::run(TimePoint now) {
  if (ask_again_ && now >= *ask_again_) ask(now);
  if (std::exchange(reuses_, hub_.registry().origins().reuses()) != hub_.registry().origins().reuses()) {
    told_.clear();
    for (Sending& sending : sending_) sending.origins.clear();
  }
  find_tables();
  for (Sending& sending : sending_) {
    const std::uint32_t redefinitions = sending.record->table->redefinitions();
    // The entries were dropped, and with them what others had told.
    if (std::exchange(sending.redefinitions, redefinitions) != redefinitions) ask(now);
  }
  send_rows();
  if (std::exchange(lesson_asked_, false)) {
    in_lesson_ = true;
    lesson_table_ = 0;
    lesson_entry_ = 0;
    for (Sending& sending : sending_) sending.cursor = sending.record->relay->feed().last();
  }
  blocked_ = in_lesson_ && !send_lesson(now);
  if (blocked_) return;
  if (std::exchange(in_lesson_, false)) session_.finish_lesson(hub_.learned(), now);
  blocked_ = !send_changes(now);
  if (!blocked_ && now >= next_row_) send_agent_row(now);
}

void MeshLink::find_tables() {
  auto& tables = hub_.registry().tables();
  if (tables_known_ == tables.size()) return;
  tables_known_ = tables.size();
  for (auto& named : tables) {
    TableRecord* record = &named.second;
    const bool known = std::any_of(sending_.begin(), sending_.end(),
                                   [&](const Sending& sending) { return sending.record == record; });
    if (!known) sending_.push_back({record, 0, record->table->redefinitions(), {}});
  }
}

bool MeshLink::send_lesson(TimePoint now) {
  std::size_t looked = 0;
  for (; lesson_table_ < sending_.size(); ++lesson_table_, lesson_entry_ = 0) {
    Sending& sending = sending_[lesson_table_];
    store::Table& table = *sending.record->table;
    for (;;) {
      const store::EntryId entry = table.next(lesson_entry_);
      if (entry == store::kNone) break;
      if (session_.pending().size() >= kHighWater || ++looked > kLookedAtOnce) return false;
      lesson_entry_ = entry + 1;
      for (store::ContributionId id = table.first(entry); id != store::kNone; id = table.following(id)) {
        // Numbered below all that is told live, and never acknowledged.
        if (table.live(id, now)) send(sending, id, 1, now);
      }
    }
  }
  return true;
}

bool MeshLink::send_changes(TimePoint now) {
  return std::all_of(sending_.begin(), sending_.end(),
                     [&](Sending& sending) { return send_changes(sending, now); });
}

bool MeshLink::send_changes(Sending& sending, TimePoint now) {
  const Relay& relay = *sending.record->relay;
  const store::ChangeFeed& feed = relay.feed();
  if (sending.cursor == feed.last()) return true;
  for (std::size_t at = feed.after(sending.cursor); at < feed.size(); ++at) {
    if (session_.pending().size() >= kHighWater) return false;
    const store::ChangeFeed::Place place = feed.at(at);
    sending.cursor = place.sequence;
    if (relay.newest(place) && sending.record->table->live(place.entry, now))
      send(sending, place.entry, place.sequence, now);
  }
  sending.cursor = feed.last();
  return true;
}

void MeshLink::send(Sending& sending, store::ContributionId contribution, std::uint64_t sequence,
                    TimePoint now) {
  store::Table& table = *sending.record->table;
  const store::OriginId origin = table.origin(contribution);
  if (sending.origins.size() <= origin) sending.origins.resize(std::size_t{origin} + 1);
  Outgoing& outgoing = sending.origins[origin];
  if (outgoing.number == 0) outgoing.number = next_table_++;
  if (outgoing.types != table.stored_types(origin) || outgoing.layout_number != table.layout_number() ||
      outgoing.definition.name.empty()) {
    outgoing.types = table.stored_types(origin);
    outgoing.layout_number = table.layout_number();
    outgoing.definition = sending.record->relay->announced(origin);
  }
  if (!in_lesson_) outgoing.pushed = static_cast<std::uint32_t>(sequence);
  session_.select(outgoing.number, outgoing.definition);
  session_.append_update(
      sending.record->relay->encode(contribution, static_cast<std::uint32_t>(sequence), now));
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
  row.publishes = row.synchronised && home->link->publishing() == Hub::Publishing::kHere;
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

void MeshLink::send_agent_row(TimePoint now) {
  next_row_ = now + kRowInterval;
  if (++number_ == 0) ++number_;
  numbers_.emplace_back(number_, now);
  if (numbers_.size() > kNumbersKept) numbers_.pop_front();
  send_row(hub_.setup().agent_name, encode_row(AgentRow{hub_.learned(), number_, agent_.number}));
}

void MeshLink::take_row(const peers::Update& update, TimePoint now) {
  const std::string name(as_text(update.key));
  if (const auto agent = decode_agent_row(update.cells)) {
    take_agent_row(name, *agent);
  } else if (const auto origin = decode_origin_row(update.cells)) {
    take_origin_row(name, *origin, now);
  }
}

void MeshLink::take_agent_row(const std::string& name, const AgentRow& row) {
  if (name != peer_.setup.name) {
    return refuse_it(Reason::kNotItsOrigin, fmt::format("writes the row of '{}' in {}", name, kMeshTable));
  }
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
  for (store::OriginId origin = 0; origin < rows_.size(); ++origin) {
    if (rows_[origin] && rows_[origin]->publishes) compare_totals(origin, now);
  }
}

void MeshLink::take_origin_row(const std::string& name, const OriginRow& row, TimePoint now) {
  if (row.generation > store::kMaxGeneration) {
    return refuse_it(Reason::kValueOutOfRange,
                     fmt::format("says that '{}' is of generation {}", name, row.generation));
  }
  const auto id = hub_.instance_elsewhere(name, row.home, now);
  if (!id) return no_place_for(name, now);
  if (rows_.size() <= *id) rows_.resize(std::size_t{*id} + 1);
  const bool published = rows_[*id] && rows_[*id]->publishes;
  rows_[*id] = row;
  if (published && !row.publishes) compare_totals(*id, now);
  if (row.home) had_home_.insert(*id);
  hub_.learn_generation(*id, row.generation, row.process);
  hub_.wake();
}

}  // namespace stickmesh::pipeline
