// A mirror that has a share of a cluster's slots.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/redis/mirror.h"

namespace stickmesh::redis {

namespace {

/// As many as can be on their way to the master that has sent them away, so that it is rarely held up.
constexpr std::size_t kMaxAdopted = 2048;

}  // namespace

void Mirror::assign(const SlotSet& slots) {
  misplaced_ = false;
  slots_ = slots;
  choose_marker();
}

// Each master is flushed by itself, so that each has a marker: its name has a part that puts it into a slot
// of this one.
void Mirror::choose_marker() {
  std::string marker;
  for (std::size_t number = 0; slots_->any() && marker.empty(); ++number) {
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
        stray(sent, to);
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

void Mirror::stray(const Sent& sent, const Redirection& to) {
  const store::Table& from = *sent.table->record->table;
  const bool contribution = sent.what == What::kContribution;
  if (contribution ? !from.holds(sent.id) : !from.uses(sent.id)) return;
  // The commands for one entry come back one after the other.
  if (!strays_.empty()) {
    const Stray& last = strays_.back();
    if (last.record == sent.table->record && last.id == sent.id && last.contribution == contribution) return;
  }
  strays_.push_back({sent.table->record, sent.id, contribution, to.once, to.once ? to : Redirection{},
                     key_of(*sent.table, sent.id, contribution)});
}

bool Mirror::adopt(const Stray& stray) {
  if (retries_.size() >= kMaxAdopted) return false;
  look_for_tables();
  if (Table* table = find(*stray.record))
    retries_.push_back({table, stray.id, stray.contribution, false, stray.once});
  return true;
}

void Mirror::leave() {
  for (const Retry& retry : std::exchange(retries_, {})) {
    stray({retry.table, retry.contribution ? What::kContribution : What::kFields, retry.id, 0}, {});
  }
}

void Mirror::retry(RedisSession& session, const Retry& retry, TimePoint now) {
  const store::Table& from = *retry.table->record->table;
  if (retry.contribution ? !from.holds(retry.id) || !from.live(retry.id, now) : !from.uses(retry.id)) return;
  const std::string key = key_of(*retry.table, retry.id, retry.contribution);
  if (!retry.asking && !mine(key)) {
    return stray({retry.table, retry.contribution ? What::kContribution : What::kFields, retry.id, 0}, {});
  }
  asking_ = retry.asking;
  if (retry.blocked) send(session, {"DEL", key}, {retry.table, What::kRoom, retry.id, 0, true}, now);
  if (retry.contribution) {
    write_contribution(session, *retry.table, retry.id, 0, now);
  } else {
    write(session, *retry.table, retry.id, 0, now);
  }
  asking_ = false;
}

}  // namespace stickmesh::redis
