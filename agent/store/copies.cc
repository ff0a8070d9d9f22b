#include <algorithm>

#include "agent/store/table.h"

namespace stickmesh::store {

TableDefinition Table::copied_definition(OriginId origin) const {
  TableDefinition definition = definition_;
  const std::uint32_t types = stored_types(origin);
  std::erase_if(definition.types, [&](const StoredType& stored) {
    return (types >> static_cast<unsigned>(stored.type) & 1U) == 0;
  });
  return definition;
}

Copy Table::copy(ContributionId id, CopyBuffer& buffer, TimePoint now) const {
  const Contribution& from = head(id);
  Copy copy;
  copy.origin = from.origin;
  copy.version = version(id);
  copy.key = key(from.entry);
  copy.expires = expires(id);
  copy.cleared = (from.flags & kClearedFlag) != 0;
  copy.owed = owed(id);
  copy.writer = from.writer;
  buffer.cells.clear();
  buffer.changes.clear();
  for (const Column& column : layout_.columns()) {
    if (!stores(id, column.type)) continue;
    for (std::uint32_t element = 0; element < column.elements; ++element) {
      if (column.kind == ValueKind::kRate) {
        const RateValue value = rate(id, column, element);
        const bool empty = value.current == 0 && value.previous == 0;
        const Duration age = empty ? Duration(0) : std::max(now - value.start, Duration(0));
        buffer.cells.insert(buffer.cells.end(),
                            {static_cast<std::uint64_t>(age.count()), value.current, value.previous});
        continue;
      }
      if (column.kind == ValueKind::kDictionary) {
        copy.server_key = text(id, column);
        buffer.cells.push_back(copy.server_key.empty() ? kTextNone : kTextSet);
      } else {
        buffer.cells.push_back(number(id, column, element));
      }
      buffer.changes.push_back(change_number(id, column, element));
    }
  }
  copy.cells = buffer.cells;
  copy.changes = buffer.changes;
  return copy;
}

bool Table::supersedes(const Copy& copy, ContributionId held) const {
  if (copy.version != version(held)) return copy.version.newer_than(version(held));
  if (copy.origin != origin(held)) {
    return shared_->origins[copy.origin].name > shared_->origins[origin(held)].name;
  }
  // Clearing leaves the origin's version as it was.
  return copy.cleared && (head(held).flags & kClearedFlag) == 0;
}

Applied Table::adopt(const Plan& plan, const Copy& copy, TimePoint now) {
  ++counters_.updates;
  const TimePoint latest = now + (definition_.expire.count() == 0 ? kUnlimitedLife : definition_.expire);
  const TimePoint expires = definition_.expire.count() == 0 ? latest : std::min(copy.expires, latest);
  if (expires <= now) return Applied::kStale;
  const auto [id, fresh] = place(copy.key, copy.origin, expires);
  if (id == kNone) {
    ++counters_.refused;
    return Applied::kNoMemory;
  }
  if (!fresh && !copy.stands && !supersedes(copy, id)) {
    ++counters_.stale;
    return Applied::kStale;
  }
  if (fresh && following(id) == kNone) ++counters_.created;
  if (origin(id) != copy.origin) hand_over(id, copy.origin);
  stored_types_[copy.origin] = plan.types;
  const bool differs = write_copy(id, plan, copy, now) || fresh;
  settle(id);
  Contribution& contribution = head(id);
  contribution.generation = copy.version.generation;
  contribution.update_id = copy.version.update_id;
  contribution.writer = copy.writer;
  contribution.flags = (copy.heard ? 0U : kAdopted) | (copy.cleared ? kClearedFlag : 0U);
  if (copy.owed) owe(id);
  hear(id, Tracking::kAll);
  if (!fresh) set_expiry(id, expires);
  mark_moved(contribution.entry, differs);
  return differs ? Applied::kChanged : Applied::kRefreshed;
}

bool Table::write_copy(ContributionId id, const Plan& plan, const Copy& copy, TimePoint now) {
  std::uint64_t lamport = shared_->lamport;
  Written written;
  for (const Plan::Step& step : plan.steps) {
    const Column& column = layout_.columns()[step.column];
    for (std::uint32_t element = 0; element < column.elements; ++element) {
      if (column.kind == ValueKind::kRate) {
        write_rate(id, column, element, &copy.cells[step.cell + std::size_t{3} * element], now, written);
        continue;
      }
      if (column.kind == ValueKind::kDictionary) {
        written.differs |= write_text(id, column, copy.cells[step.cell], copy.server_key);
      } else {
        written.differs |= write_number(id, column, element, copy.cells[step.cell + element]);
      }
      if (!column.changes) continue;
      const std::uint64_t number = copy.changes[step.change + element];
      written.differs |= change_number(id, column, element) != number;
      set_change_number(id, column, element, number);
      lamport = std::max(lamport, number);
    }
  }
  if (single_)
    lamport = std::max(lamport, std::uint64_t{copy.version.generation} << 32U | copy.version.update_id);
  shared_->lamport = lamport;
  return written.differs;
}

void Table::owe(ContributionId id) {
  head(id).flags |= kOwed;
  if (owed_.size() <= origin(id)) owed_.resize(std::size_t{origin(id)} + 1);
  ++owed_[origin(id)];
}

}  // namespace stickmesh::store
