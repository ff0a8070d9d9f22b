#include "agent/pipeline/restorer.h"

#include <algorithm>

namespace stickmesh::pipeline {

using store::Column;
using store::ContributionId;
using store::kNone;

namespace {

constexpr std::size_t kLookedAtOnce = 20'000;

// The connections of a lost process are gone; 2.5.0 misreads what follows one (peers-protocol 6). Of types
// for which there was no room we know nothing.
TableDefinition written(const TableDefinition& announced, const store::Layout& layout) {
  TableDefinition definition = announced;
  std::erase_if(definition.types, [&](const StoredType& stored) {
    return stored.type == DataType::kConnCur || layout.find(stored.type) == nullptr;
  });
  return definition;
}

}  // namespace

bool Restorer::run(const Target& target, const TableDefinition& announced, std::uint32_t generation,
                   std::size_t backlog, TimePoint now) {
  const TableDefinition definition = written(announced, target.table.layout());
  for (std::size_t looked = 0; looked < kLookedAtOnce; ++looked) {
    if (target.session.pending().size() >= backlog) return false;
    const store::EntryId entry = target.table.next(next_);
    if (entry == kNone) return true;
    next_ = entry + 1;
    const ContributionId id = target.table.find(entry, target.origin);
    if (id == kNone || !target.table.live(id, now)) continue;
    if (target.table.owed(id) || target.table.version(id).generation < generation) {
      send(target, definition, id, now);
    }
  }
  return false;
}

void Restorer::tell_cleared(const Target& target, const TableDefinition& announced, ContributionId id,
                            TimePoint now) {
  send(target, written(announced, target.table.layout()), id, now);
}

void Restorer::send(const Target& target, const TableDefinition& definition, ContributionId id,
                    TimePoint now) {
  target.session.select(kFirstTable + static_cast<peers::TableId>(target.input), definition);
  target.session.append_update(encode(target.table, definition, id, now));
  if (target.table.owed(id)) told_.push_back({target.input, target.table.entry(id), update_id_, now});
}

void Restorer::acknowledged(peers::TableId number, std::uint32_t update_id, const Settle& settle) {
  std::erase_if(told_, [&](const Told& told) {
    const bool taken =
        kFirstTable + told.input == number && static_cast<std::int32_t>(update_id - told.update_id) >= 0;
    if (taken) settle(told.input, told.entry);
    return taken;
  });
}

void Restorer::settle_all(const Settle& settle) {
  for (const Told& told : told_) settle(told.input, told.entry);
  told_.clear();
}

std::optional<TimePoint> Restorer::waiting_since() const {
  return told_.empty() ? std::nullopt : std::optional(told_.front().when);
}

Bytes Restorer::encode(const store::Table& table, const TableDefinition& definition, ContributionId id,
                       TimePoint now) {
  std::optional<Duration> remaining;
  if (definition.expire.count() != 0) remaining = std::min(table.expires(id) - now, definition.expire);
  if (++update_id_ == 0) ++update_id_;
  encoder_.begin(update_id_, remaining);
  encoder_.key(definition.key_type, table.key(table.entry(id)));
  for (const StoredType& stored : definition.types) {
    const Column& column = *table.layout().find(stored.type);
    for (std::uint32_t element = 0; element < column.elements; ++element) {
      switch (column.kind) {
        case ValueKind::kRate: {
          const store::RateValue rate = table.rate(id, column, element);
          const Duration age = std::max(now - rate.start, Duration(0));
          const bool over = age > 2 * column.period;
          encoder_.rate(over ? 0 : static_cast<std::uint32_t>(age.count()), over ? 0 : rate.current,
                        over ? 0 : rate.previous);
          break;
        }
        case ValueKind::kDictionary:
          encoder_.server_key(table.text(id, column));
          break;
        case ValueKind::kSigned32:
        case ValueKind::kUnsigned32:
        case ValueKind::kUnsigned64:
          encoder_.number(table.number(id, column, element));
          break;
      }
    }
  }
  return encoder_.finish();
}

}  // namespace stickmesh::pipeline
