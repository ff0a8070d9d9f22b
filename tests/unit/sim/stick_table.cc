#include "tests/unit/sim/stick_table.h"

#include <algorithm>

namespace stickmesh::sim {

namespace {

constexpr std::uint32_t kLearned = 0x80000000U;

bool not_before(std::uint32_t id, std::uint32_t other) {
  return static_cast<std::int32_t>(id - other) >= 0;
}

}  // namespace

TableDefinition definition_of(std::string wire_name, Duration expire) {
  TableDefinition definition;
  definition.name = std::move(wire_name);
  definition.key_type = KeyType::kString;
  definition.key_size = 33;
  definition.expire = expire;
  definition.types = {{DataType::kGpt0, 1, {}},
                      {DataType::kConnCur, 1, {}},
                      {DataType::kHttpReqCnt, 1, {}},
                      {DataType::kHttpReqRate, 1, kPeriod}};
  return definition;
}

StickTable::Entry* StickTable::find(std::string_view key) {
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.key == key; });
  return found == entries_.end() ? nullptr : &*found;
}

StickTable::Entry& StickTable::add(std::string_view key, TimePoint now) {
  Entry& fresh = entries_.emplace_back();
  fresh.key = key;
  fresh.expires = fresh.queued = now + definition_.expire;
  soonest_ = std::min(soonest_, fresh.queued);
  return fresh;
}

bool StickTable::make_room() {
  const auto sooner = [](const Entry& left, const Entry& right) {
    return std::pair(left.in_use(), left.queued) < std::pair(right.in_use(), right.queued);
  };
  while (entries_.size() >= size_) {
    const auto oldest = std::min_element(entries_.begin(), entries_.end(), sooner);
    if (oldest->in_use()) return false;
    if (oldest->queued == oldest->expires) {
      evicted_.push_back(oldest->key);
      entries_.erase(oldest);
    } else {
      oldest->queued = oldest->expires;
    }
  }
  return true;
}

StickTable::Entry* StickTable::get(std::string_view key, TimePoint now) {
  if (Entry* known = find(key)) return known;
  return make_room() ? &add(key, now) : nullptr;
}

void StickTable::touch(Entry& entry, TimePoint now) {
  entry.expires = now + definition_.expire;
  const bool waits = entry.id && !not_before(committed_, *entry.id) && !not_before(*entry.id, local_update_);
  if (waits) return;
  entry.id = local_update_ = ++update_;
}

StickTable::Entry* StickTable::learn(std::string_view key, Duration life, TimePoint now) {
  if (!make_room()) {
    evicted_.emplace_back(key);
    return nullptr;
  }
  Entry* known = find(key);
  Entry& entry = known != nullptr ? *known : add(key, now);
  entry.expires = now + life;
  if (!entry.id) entry.id = ++update_ + kLearned;
  return &entry;
}

void StickTable::purge(TimePoint now) {
  if (now < soonest_) return;
  soonest_ = TimePoint::max();
  std::erase_if(entries_, [&](Entry& entry) {
    const bool over = entry.queued <= now && entry.expires <= now && !entry.in_use();
    if (entry.queued <= now) entry.queued = entry.expires;
    if (!over) soonest_ = std::min(soonest_, entry.queued);
    return over;
  });
}

const StickTable::Entry* StickTable::at_or_after(std::uint32_t id) const {
  const Entry* first = nullptr;
  for (const Entry& entry : entries_) {
    if (entry.id && *entry.id >= id && (first == nullptr || *entry.id < *first->id)) first = &entry;
  }
  return first;
}

}  // namespace stickmesh::sim
