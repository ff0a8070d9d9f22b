#include "agent/pipeline/table_sending.h"

#include <algorithm>
#include <utility>

namespace stickmesh::pipeline {

namespace {

constexpr std::size_t kLookedAtOnce = 20'000;

}  // namespace

bool TableSending::look_for_tables() {
  const std::uint32_t reuses = registry_.origins().reuses();
  if (std::exchange(reuses_, reuses) != reuses) {
    for (Sending& sending : sending_) sending.outgoing.clear();
    // What is not acknowledged is not known any more.
    confirmed_ = false;
  }
  auto& tables = registry_.tables();
  if (tables_known_ != tables.size()) {
    tables_known_ = tables.size();
    for (auto& named : tables) {
      TableRecord* record = &named.second;
      const bool known = std::any_of(sending_.begin(), sending_.end(),
                                     [&](const Sending& sending) { return sending.record == record; });
      if (!known) sending_.push_back({record, 0, record->table->redefinitions(), 0, 0, {}});
    }
  }
  bool redefined = false;
  for (Sending& sending : sending_) {
    const std::uint32_t redefinitions = sending.record->table->redefinitions();
    redefined |= std::exchange(sending.redefinitions, redefinitions) != redefinitions;
  }
  return redefined;
}

void TableSending::begin_lesson(const Fellowship::Taken* taken) {
  in_lesson_ = unconfirmed_ = true;
  only_changes_ = taken != nullptr;
  lesson_table_ = 0;
  lesson_entry_ = 0;
  for (Sending& sending : sending_) {
    sending.cursor = sending.record->relay->feed().last();
    if (taken != nullptr)
      sending.cursor = std::min(sending.cursor, taken_of(*taken, sending.record->table->name()));
  }
}

bool TableSending::send_lesson(TimePoint now) {
  if (only_changes_ ? !send_changes(now) : !send_all(now)) return false;
  for (Sending& sending : sending_) sending.lesson_end = sending.cursor;
  in_lesson_ = false;
  return true;
}

bool TableSending::send_all(TimePoint now) {
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
        if (table.live(id, now)) send(sending, id, 0, now);
      }
    }
  }
  return true;
}

bool TableSending::send_changes(TimePoint now) {
  return std::all_of(sending_.begin(), sending_.end(),
                     [&](Sending& sending) { return send_changes(sending, now); });
}

bool TableSending::send_changes(Sending& sending, TimePoint now) {
  const Relay& relay = *sending.record->relay;
  const store::ChangeFeed& feed = relay.feed();
  if (sending.cursor == feed.last()) return true;
  for (std::size_t at = feed.after(sending.cursor); at < feed.size(); ++at) {
    if (session_.pending().size() >= kHighWater) return false;
    const store::ChangeFeed::Place place = feed.at(at);
    sending.cursor = place.sequence;
    if (!relay.newest(place) || !sending.record->table->live(place.entry, now)) continue;
    if (to_ == To::kAgent && sending.record->table->adopted(place.entry)) continue;
    send(sending, place.entry, place.sequence, now);
  }
  sending.cursor = feed.last();
  return true;
}

void TableSending::send(Sending& sending, store::ContributionId contribution, std::uint64_t sequence,
                        TimePoint now) {
  store::Table& table = *sending.record->table;
  Relay& relay = *sending.record->relay;
  const bool whole = to_ == To::kSuccessor;
  const store::OriginId origin = table.origin(contribution);
  const bool with_writer = whole && sending.record->replicated;
  const store::OriginId writer = with_writer ? table.writer(contribution) : store::kNobody;
  Outgoing& outgoing = sending.outgoing[std::uint32_t{writer} << 16U | origin];
  if (outgoing.number == 0) outgoing.number = next_table_++;
  if (outgoing.types != table.stored_types(origin) || outgoing.layout_number != table.layout_number() ||
      outgoing.definition.name.empty()) {
    outgoing.types = table.stored_types(origin);
    outgoing.layout_number = table.layout_number();
    outgoing.definition = with_writer ? relay.announced(origin, writer) : relay.announced(origin);
  }
  // What a lesson tells is numbered below all that is told live, and never acknowledged.
  const auto update_id = in_lesson_ ? 1U : static_cast<std::uint32_t>(sequence);
  if (!in_lesson_) outgoing.pushed = update_id;
  session_.select(outgoing.number, outgoing.definition);
  session_.append_update(relay.encode(contribution, update_id, now, whole));
}

void TableSending::lesson_confirmed() {
  confirmed_ = true;
  unconfirmed_ = false;
  for (Sending& sending : sending_) sending.confirmed = sending.lesson_end;
}

std::optional<Fellowship::Taken> TableSending::taken() const {
  if (!confirmed_) return std::nullopt;
  Fellowship::Taken all;
  for (const Sending& sending : sending_) all[sending.record->table->name()] = taken(sending);
  return all;
}

std::uint64_t TableSending::taken(const Sending& sending) const {
  if (unconfirmed_) return sending.confirmed;
  std::uint64_t sequence = sending.cursor;
  for (const auto& [origin, outgoing] : sending.outgoing) {
    const std::size_t at = outgoing.number - first_table_;
    const std::uint32_t acknowledged = at < acknowledged_.size() ? acknowledged_[at] : 0;
    if (outgoing.pushed == acknowledged) continue;
    const std::uint64_t known =
        acknowledged == 0 ? 0 : sending.record->relay->feed().sequence_of(acknowledged);
    sequence = std::min(sequence, std::max(known, sending.confirmed));
  }
  return sequence;
}

std::uint64_t TableSending::backlog() const {
  std::uint64_t waiting = 0;
  for (const Sending& sending : sending_) waiting += backlog(sending);
  return waiting;
}

std::uint64_t TableSending::backlog(const Sending& sending) {
  const store::ChangeFeed& feed = sending.record->relay->feed();
  return feed.size() - feed.after(sending.cursor);
}

// Any number may come in an acknowledgement.
void TableSending::acknowledged(peers::TableId table, std::uint32_t update_id) {
  if (table < first_table_ || table >= next_table_) return;
  acknowledged_.resize(tables());
  acknowledged_[table - first_table_] = update_id;
}

}  // namespace stickmesh::pipeline
