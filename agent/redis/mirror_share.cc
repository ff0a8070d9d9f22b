// A mirror that has a share of a cluster's slots.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/redis/mirror.h"

namespace stickmesh::redis {

void Mirror::assign(const SlotSet& slots) {
  misplaced_ = false;
  slots_ = slots;
  choose_marker();
}

// Each master is flushed by itself, so that each has a marker: its name has a part that puts it into a slot
// of this one. A prefix with such a part of its own may be in no slot of this one, whatever the name.
void Mirror::choose_marker() {
  constexpr std::size_t kMaxNumber = 1'000'000;
  std::string marker;
  for (std::size_t number = 0; slots_->any() && marker.empty() && number < kMaxNumber; ++number) {
    std::string name = fmt::format("{}{{{}}}", agents_, number);
    if (mine(name)) marker = std::move(name);
  }
  if (marker == marker_) return;
  marker_ = std::move(marker);
  marked_ = false;
}

Mirror::Table* Mirror::find(const pipeline::TableRecord& record) {
  return const_cast<Table*>(std::as_const(*this).find(record));
}

const Mirror::Table* Mirror::find(const pipeline::TableRecord& record) const {
  const auto found = std::find_if(tables_.begin(), tables_.end(),
                                  [&](const Table& table) { return table.record == &record; });
  return found == tables_.end() ? nullptr : &*found;
}

void Mirror::take_over(const Mirror* previous) {
  for (Table& table : tables_) {
    const Table* theirs = previous != nullptr ? previous->find(*table.record) : nullptr;
    if (theirs == nullptr) {
      go_back(table, 0, 0);
    } else {
      go_back(table, theirs->confirmed, theirs->contributions_confirmed);
    }
  }
}

// What is on its way was sent before, and confirms nothing of what is sent after it.
void Mirror::go_back(Table& table, std::uint64_t confirmed, std::uint64_t contributions_confirmed) {
  table.sent = table.confirmed = std::min(table.confirmed, confirmed);
  table.contributions_sent = table.contributions_confirmed =
      std::min(table.contributions_confirmed, contributions_confirmed);
  table.mark = 0;
  for (Sent& sent : in_flight_) {
    if (sent.table == &table) sent.sequence = 0;
  }
}

void Mirror::redirected(const Redirection& to, TimePoint now) {
  const Sent sent = in_flight_.front();
  in_flight_.pop_front();
  if (sent.table != nullptr) --sent.table->unanswered;
  if (!to.once) misplaced_ = true;
  switch (sent.what) {
    case What::kFields:
    case What::kLife:
    case What::kRemoval:
    case What::kContribution: {
      if (to.once || sent.retried) {
        stray({sent.table, sent.id, sent.what == What::kContribution}, to);
      } else {
        go_back(*sent.table, sent.table->confirmed, sent.table->contributions_confirmed);
      }
      std::uint64_t& confirmed =
          sent.what == What::kContribution ? sent.table->contributions_confirmed : sent.table->confirmed;
      if (to.once) confirmed = std::max(confirmed, sent.sequence);
      break;
    }
    case What::kMark:
      marked_ = false;
      break;
    case What::kMarker:
      checking_ = false;
      checked_ = now;
      break;
    case What::kDefinition:
      sent.table->listed.reset();
      break;
    case What::kRoom:
    case What::kNews:
    case What::kList:
    case What::kAsking:
      break;
  }
}

std::string Mirror::key_of(Table& table, std::uint32_t id, bool contribution) const {
  const store::Table& from = *table.record->table;
  if (!contribution) return std::string(table.keys.of(id));
  return std::string(table.keys.of(from.entry(id), hub_.registry().origins()[from.origin(id)].name));
}

void Mirror::stray(const Retried& what, const Redirection& to) {
  const auto& [table, id, contribution] = what;
  const store::Table& from = *table->record->table;
  if (contribution ? !from.holds(id) : !from.uses(id)) return;
  // The commands for one entry come back one after the other.
  if (!strays_.empty()) {
    const Stray& last = strays_.back();
    if (last.record == table->record && last.id == id && last.contribution == contribution) return;
  }
  strays_.push_back({table->record, id, contribution, to.once, to.once ? to : Redirection{},
                     key_of(*table, id, contribution)});
}

void Mirror::adopt(const Stray& stray) {
  look_for_tables();
  if (Table* table = find(*stray.record)) wait({table, stray.id, stray.contribution}, {false, stray.once});
}

bool Mirror::has_adopted() const {
  return !retries_.empty() || std::any_of(in_flight_.begin(), in_flight_.end(),
                                          [](const Sent& sent) { return sent.retried.has_value(); });
}

void Mirror::leave() {
  while (!retries_.empty()) stray(retries_.take().first, {});
}

void Mirror::wait(const Retried& what, const Retry& how) {
  Retry& known = retries_.add(what);
  known.blocked |= how.blocked;
  known.asking |= how.asking;
}

bool Mirror::fill_retries(RedisSession& session, TimePoint now) {
  while (!retries_.empty()) {
    if (!take_turn(session)) return false;
    const auto [what, how] = retries_.take();
    retry(session, what, how, now);
  }
  return true;
}

void Mirror::retry(RedisSession& session, const Retried& what, const Retry& how, TimePoint now) {
  const auto& [table, id, contribution] = what;
  const store::Table& from = *table->record->table;
  if (contribution ? !from.holds(id) || !from.live(id, now) : !from.uses(id)) return;
  const std::string key = key_of(*table, id, contribution);
  if (!how.asking && !mine(key)) return stray(what, {});
  retrying_ = how;
  if (how.blocked) send(session, {"DEL", key}, {table, What::kRoom, id, 0}, now);
  if (contribution) {
    write_contribution(session, *table, id, 0, now);
  } else {
    write(session, *table, id, 0, now);
  }
  retrying_.reset();
}

}  // namespace stickmesh::redis
