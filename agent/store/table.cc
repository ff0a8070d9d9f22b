#include "agent/store/table.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <utility>

namespace stickmesh::store {

namespace {

std::int64_t milliseconds(TimePoint when) {
  return when.time_since_epoch().count();
}

// What a slab keeps in a free row.
constexpr std::size_t kFreeLink = sizeof(std::uint32_t);

// Fine enough that an expired contribution lowers its total soon, coarse enough that the ring spans the
// table's life.
Duration resolution(Duration expire) {
  return std::clamp(expire / 2048, Duration(1), Duration(1000));
}

}  // namespace

Table::Table(std::string name, const TableDefinition& definition, const Merges& merges,
             std::size_t max_entries, Shared& shared, TimePoint now, bool single)
    : name_(std::move(name)),
      definition_(definition),
      merges_(merges),
      max_entries_(max_entries),
      single_(single),
      shared_(&shared),
      layout_(definition.types, merges),
      entries_(entry_size(), shared.budget),
      contributions_(contribution_size(), shared.budget),
      sums_(sums_size(), shared.budget) {
  static_assert(kKeyOffset == offsetof(Entry, changed) + sizeof(Entry::changed));
  static_assert(kValuesOffset == offsetof(Contribution, ahead) + sizeof(Contribution::ahead));
  make_rows(now);
}

Table::~Table() {
  for (EntryId entry = next(0); entry != kNone; entry = next(entry + 1)) remove_entry(entry);
}

void Table::make_rows(TimePoint now) {
  index_ = std::make_unique<Index>(shared_->budget);
  const Duration expire = definition_.expire.count() == 0 ? std::chrono::hours(1) : definition_.expire;
  wheel_ = std::make_unique<Wheel>(resolution(expire), now, shared_->budget);
}

bool Table::extend(const TableDefinition& definition) {
  std::vector<StoredType> types = definition_.types;
  for (const StoredType& stored : definition.types) {
    if (definition_.find(stored.type) == nullptr) types.push_back(stored);
  }
  if (types.size() == definition_.types.size()) return true;
  std::sort(types.begin(), types.end(), [](const auto& a, const auto& b) { return a.type < b.type; });

  Layout before = std::exchange(layout_, Layout(types, merges_));
  // For a moment the old rows are there, too, which may pass the limit; in the end all is within it.
  const std::size_t after =
      contributions_.memory_of_same_ids(contribution_size()) + sums_.memory_of_same_ids(sums_size());
  const std::size_t now = contributions_.memory() + sums_.memory();
  if (after > now && !shared_->budget.has_room_for(after - now)) {
    layout_ = std::move(before);
    return false;
  }
  definition_.types = std::move(types);
  ++layout_number_;

  Slab contributions = contributions_.same_ids(contribution_size());
  for (std::uint32_t id = 0; id < contributions_.end(); ++id) {
    std::memcpy(contributions.row(id), contributions_.row(id), kValuesOffset);
  }
  Slab sums = sums_.same_ids(sums_size());
  for (std::uint32_t id = 0; id < sums_.end(); ++id) {
    std::memcpy(sums.row(id), sums_.row(id), kFreeLink);
  }
  const auto values_of = [&](ContributionId id) {
    return reinterpret_cast<std::uint32_t*>(contributions.row(id) + kValuesOffset);
  };
  for (EntryId entry = next(0); entry != kNone; entry = next(entry + 1)) {
    const std::uint32_t row = entry_head(entry).sums;
    if (row != kNone) {
      std::memset(sums.row(row), 0, sums_size());
      for (const Column& old : before.columns()) {
        if (!old.summed) continue;
        std::memcpy(sums.row(row) + std::size_t{layout_.find(old.type)->sum_offset} * 4,
                    sums_.row(row) + std::size_t{old.sum_offset} * 4,
                    (old.kind == ValueKind::kUnsigned64 ? std::size_t{16} : std::size_t{8}) * old.elements);
      }
    }
    for (ContributionId id = first(entry); id != kNone; id = following(id)) {
      std::memset(values_of(id), 0, std::size_t{layout_.value_words()} * 4);
      for (const Column& old : before.columns()) {
        std::memcpy(values_of(id) + layout_.find(old.type)->offset, values(id) + old.offset,
                    std::size_t{old.stride} * old.elements * 4);
      }
    }
  }
  contributions_ = std::move(contributions);
  sums_ = std::move(sums);
  return true;
}

void Table::change_expire(Duration expire, TimePoint now) {
  const bool anew = definition_.expire.count() == 0 || expire.count() == 0;
  if (std::exchange(definition_.expire, expire) == expire) return;
  const TimePoint full = now + (expire.count() == 0 ? kUnlimitedLife : expire);
  for (EntryId entry = next(0); entry != kNone; entry = next(entry + 1)) {
    for (ContributionId id = first(entry); id != kNone; id = following(id)) {
      head(id).expires = milliseconds(anew ? full : std::min(expires(id), full));
      wheel_->move(id, due(expires(id)));
    }
  }
}

void Table::redefine(const TableDefinition& definition, TimePoint now) {
  for (EntryId entry = next(0); entry != kNone; entry = next(entry + 1)) remove_entry(entry);
  const std::string name = definition_.name;
  definition_ = definition;
  definition_.name = name;
  layout_ = Layout(definition_.types, merges_);
  ++layout_number_;
  entries_ = Slab(entry_size(), shared_->budget);
  contributions_ = Slab(contribution_size(), shared_->budget);
  sums_ = Slab(sums_size(), shared_->budget);
  changed_.clear();
  heard_.clear();
  stored_types_.clear();
  ++redefinitions_;
  make_rows(now);
}

std::uint64_t Table::hash(Bytes key) const {
  return XXH3_64bits_withSeed(key.data(), key.size(), shared_->hash_seed);
}

Bytes Table::key(EntryId entry) const {
  return {entries_.row(entry) + kKeyOffset, entry_head(entry).key_size};
}

EntryId Table::find(Bytes key) const {
  return find(key, hash(key));
}

EntryId Table::find(Bytes wanted, std::uint64_t hash) const {
  return index_->find(hash, [&](EntryId entry) {
    const Bytes candidate = key(entry);
    return candidate.size() == wanted.size() &&
           std::memcmp(candidate.data(), wanted.data(), wanted.size()) == 0;
  });
}

EntryId Table::next(EntryId from) const {
  while (from < entries_.end() && !entry_head(from).used) ++from;
  return from < entries_.end() ? from : kNone;
}

ContributionId Table::find(EntryId entry, OriginId origin) const {
  ContributionId id = first(entry);
  while (id != kNone && head(id).origin != origin) id = following(id);
  return id;
}

TimePoint Table::expiry(const Change& change, TimePoint now) const {
  if (definition_.expire.count() == 0) return now + kUnlimitedLife;
  return now + (change.life == LifeKind::kAnew ? definition_.expire
                                               : std::min(change.remaining, definition_.expire));
}

// Entries without `expire` come up once a turn of the wheel, so that the oldest can still be told.
TimePoint Table::due(TimePoint expires) const {
  return definition_.expire.count() == 0 ? expires - kUnlimitedLife + wheel_->horizon() : expires;
}

EntryId Table::add_entry(Bytes key, std::uint64_t hash) {
  const EntryId entry = entries_.take();
  if (entry == kNone) return kNone;
  if (!index_->insert(hash, entry)) {
    entries_.give_back(entry);
    return kNone;
  }
  Entry& fresh = entry_head(entry);
  fresh.first = kNone;
  fresh.sums = kNone;
  fresh.key_size = static_cast<std::uint16_t>(key.size());
  fresh.used = true;
  std::memcpy(entries_.row(entry) + kKeyOffset, key.data(), key.size());
  return entry;
}

// From its second contribution on an entry keeps its sums, by difference.
bool Table::add_sums(EntryId entry) {
  const ContributionId only = first(entry);
  if (only == kNone || entry_head(entry).sums != kNone || layout_.sum_words() == 0) return true;
  const std::uint32_t row = sums_.take();
  if (row == kNone) return false;
  entry_head(entry).sums = row;
  for (const Column& column : layout_.columns()) {
    if (!column.summed) continue;
    for (std::uint32_t element = 0; element < column.elements; ++element) {
      move_sum(entry, column, element, 0, number(only, column, element));
    }
  }
  return true;
}

ContributionId Table::add_contribution(EntryId entry, OriginId origin, TimePoint expires) {
  if (!add_sums(entry)) return kNone;
  const ContributionId id = contributions_.take();
  if (id == kNone) return kNone;
  if (!wheel_->add(id, due(expires))) {
    contributions_.give_back(id);
    return kNone;
  }
  Contribution& fresh = head(id);
  fresh.entry = entry;
  fresh.origin = origin;
  fresh.expires = milliseconds(expires);
  fresh.next = entry_head(entry).first;
  fresh.ahead = id;
  for (int step = 0; step < kAhead && head(fresh.ahead).next != kNone; ++step) {
    fresh.ahead = head(fresh.ahead).next;
  }
  entry_head(entry).first = id;
  ++shared_->origins[origin].contributions;
  if (stored_types_.size() <= origin) stored_types_.resize(std::size_t{origin} + 1);
  return id;
}

void Table::hand_over(ContributionId id, OriginId origin) {
  settle(id);
  --shared_->origins[head(id).origin].contributions;
  ++shared_->origins[origin].contributions;
  if (stored_types_.size() <= origin) stored_types_.resize(std::size_t{origin} + 1);
  head(id).origin = origin;
}

Table::Place Table::place(Bytes key, OriginId origin, TimePoint expires) {
  const std::uint64_t hashed = hash(key);
  // The second try follows a purge, which may have taken the very entry.
  for (int tries = 0; tries < 2; ++tries) {
    EntryId entry = find(key, hashed);
    if (entry != kNone) {
      const ContributionId known = single_ ? first(entry) : find(entry, origin);
      if (known != kNone) return {known, false};
    } else {
      if (max_entries_ != 0 && entries_.live() >= max_entries_) purge_oldest();
      // Rows stay with their table: once nothing can grow, others' entries would be purged for nothing.
      if (shared_->budget.scarce() && !has_room() && can_grow() && shared_->make_room) shared_->make_room();
      entry = add_entry(key, hashed);
    }
    if (entry != kNone) {
      const ContributionId fresh = add_contribution(entry, origin, expires);
      if (fresh != kNone) return {fresh, true};
      if (first(entry) == kNone) remove_entry(entry);
    }
    if (tries == 1 || !purge_oldest()) break;
  }
  return {kNone, false};
}

Applied Table::apply(const Plan& plan, const Change& change, TimePoint now) {
  ++counters_.updates;
  const TimePoint expires = expiry(change, now);
  const auto [id, fresh] = place(change.key, change.origin, expires);
  if (id == kNone) {
    ++counters_.refused;
    return Applied::kNoMemory;
  }
  Contribution& contribution = head(id);
  if (fresh) {
    if (following(id) == kNone) ++counters_.created;
  } else if (change.version.generation < contribution.generation ||
             ((contribution.flags & kAdopted) != 0 && version(id).newer_than(change.version))) {
    ++counters_.stale;
    return Applied::kStale;
  } else if ((contribution.flags & kOwed) != 0) {
    return Applied::kCleared;
  }
  if (contribution.origin != change.origin) hand_over(id, change.origin);
  stored_types_[change.origin] = plan.types;
  const bool keep_larger =
      change.keep_larger && !fresh && contribution.generation < change.version.generation;
  const bool same_version = !fresh && version(id) == change.version;
  const auto [differs, counted, kept] = write(id, plan, change, keep_larger, now);
  // HAProxy sends again what it has not seen acknowledged, before a lesson as well as after it: that gives no
  // second life. A key that is counted again while it waits keeps its number, but not its values.
  const bool repeats = change.life == LifeKind::kAnew && same_version && !counted && !kept;
  if (!fresh && !repeats) set_expiry(id, expires);
  if (!kept) contribution.generation = change.version.generation;
  contribution.update_id = change.version.update_id;
  contribution.flags &= kHeard;
  // What its origin only repeats, as in the lesson of every session, others have.
  const bool repeated = same_version && !differs && !counted;
  hear(id, kept || repeated ? Tracking::kAll : Tracking::kHeard);
  mark_moved(contribution.entry, fresh || differs);
  if (kept) return Applied::kKept;
  return fresh || differs ? Applied::kChanged : Applied::kRefreshed;
}

void Table::hear(ContributionId id, Tracking cause) {
  if (tracking_ < cause || (head(id).flags & kHeard) != 0) return;
  head(id).flags |= kHeard;
  heard_.push_back(id);
}

void Table::mark_moved(EntryId entry, bool differs) {
  const TimePoint published = published_end(entry);
  if (differs || (definition_.expire.count() != 0 &&
                  std::chrono::abs(end(entry) - published) > definition_.expire / 10)) {
    mark_changed(entry);
  }
}

void Table::set_expiry(ContributionId id, TimePoint expires) {
  if (expires < this->expires(id)) wheel_->schedule(id, due(expires));
  head(id).expires = milliseconds(expires);
}

bool Table::cleared(EntryId entry) const {
  for (ContributionId id = first(entry); id != kNone; id = following(id)) {
    if ((head(id).flags & kClearedFlag) == 0) return false;
  }
  return true;
}

bool Table::shown(EntryId entry, TimePoint now) const {
  bool lives = false;
  bool said = false;
  for (ContributionId id = first(entry); id != kNone && !(lives && said); id = following(id)) {
    lives = lives || live(id, now);
    said = said || !cleared_contribution(id);
  }
  return lives && said;
}

void Table::settle(ContributionId id) {
  if (!owed(id)) return;
  head(id).flags &= ~kOwed;
  --owed_[origin(id)];
  hear(id, Tracking::kAll);
}

void Table::remove_contribution(ContributionId gone) {
  const EntryId entry = head(gone).entry;
  for (const Column& column : layout_.columns()) {
    for (std::uint32_t element = 0; element < column.elements; ++element) {
      if (column.summed) move_sum(entry, column, element, number(gone, column, element), 0);
      if (column.kind == ValueKind::kDictionary) shared_->texts.release(values(gone)[column.offset]);
    }
  }
  settle(gone);
  --shared_->origins[origin(gone)].contributions;
  ContributionId* link = &entry_head(entry).first;
  while (*link != gone) link = &head(*link).next;
  *link = head(gone).next;
  wheel_->remove(gone);
  head(gone).entry = kNone;
  contributions_.give_back(gone);
  mark_changed(entry);
}

void Table::remove_entry(EntryId entry) {
  if (on_removed_) on_removed_(entry);
  while (first(entry) != kNone) remove_contribution(first(entry));
  index_->erase(hash(key(entry)), entry);
  if (entry_head(entry).sums != kNone) sums_.give_back(entry_head(entry).sums);
  entry_head(entry).used = false;
  entries_.give_back(entry);
}

bool Table::expire(TimePoint now, std::size_t limit) {
  return wheel_->advance(now, limit, [&](ContributionId id) {
    if (live(id, now)) {
      const TimePoint again = due(expires(id));
      // Half: a whole turn on it would be in the very slot that is being emptied.
      wheel_->move(id, again > now ? again : now + wheel_->horizon() / 2);
      return;
    }
    ++counters_.expired;
    const EntryId entry = head(id).entry;
    remove_contribution(id);
    if (first(entry) == kNone) remove_entry(entry);
  });
}

bool Table::purge_oldest() {
  constexpr std::size_t kSeen = 16;
  constexpr int kRounds = 64;
  for (int round = 1;; ++round) {
    ContributionId oldest = kNone;
    TimePoint oldest_end{};
    std::array<ContributionId, kSeen> early{};
    std::size_t early_count = 0;
    wheel_->soonest(kSeen, [&](ContributionId id) {
      if (wheel_->early(id, due(expires(id)))) early[early_count++] = id;
      const TimePoint ends = end(head(id).entry);
      if (oldest == kNone || ends < oldest_end) {
        oldest = id;
        oldest_end = ends;
      }
      return true;
    });
    if (oldest == kNone) return false;
    // Rows that were used since they were scheduled stand before older ones. Each is moved on once for its
    // last use.
    for (std::size_t index = 0; index < early_count; ++index) {
      wheel_->move(early[index], due(expires(early[index])));
    }
    if (early_count != 0 && round < kRounds) continue;
    ++counters_.purged;
    remove_entry(head(oldest).entry);
    return true;
  }
}

TimePoint Table::end(EntryId entry) const {
  std::int64_t latest = 0;
  for (ContributionId id = first(entry); id != kNone; id = following(id))
    latest = std::max(latest, head(id).expires);
  return TimePoint(Duration(latest));
}

void Table::set_published(EntryId entry, std::uint64_t sequence, TimePoint end) {
  entry_head(entry).sequence = sequence;
  entry_head(entry).end = milliseconds(end);
}

void Table::track_changes(bool on) {
  track_changes_ = on;
  for (EntryId entry = next(0); on && entry != kNone; entry = next(entry + 1)) mark_changed(entry);
}

void Table::mark_changed(EntryId entry) {
  if (!track_changes_ || entry_head(entry).changed) return;
  entry_head(entry).changed = true;
  changed_.push_back(entry);
}

std::size_t Table::memory() const {
  return entries_.memory() + contributions_.memory() + sums_.memory() + index_->memory() + wheel_->memory();
}

Version Table::version(ContributionId contribution) const {
  return {head(contribution).generation, head(contribution).update_id};
}

bool Table::stores(ContributionId contribution, DataType type) const {
  return (stored_types_[head(contribution).origin] >> static_cast<unsigned>(type) & 1U) != 0;
}

void Table::mark_present_sums(OriginId origin) {
  for (const Column& column : layout_.columns()) {
    if (column.merge != Merge::kPresentSum) continue;
    for (EntryId entry = next(0); entry != kNone; entry = next(entry + 1)) {
      const ContributionId id = find(entry, origin);
      if (id != kNone && number(id, column, 0) != 0) mark_changed(entry);
    }
  }
}

}  // namespace stickmesh::store
