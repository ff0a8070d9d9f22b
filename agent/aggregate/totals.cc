#include "agent/aggregate/totals.h"

#include <algorithm>
#include <limits>

namespace stickmesh::aggregate {

using store::Column;
using store::ContributionId;
using store::EntryId;
using store::kNone;

namespace {

template <typename Visit>
void for_each_live(const store::Table& table, EntryId entry, TimePoint now, Visit&& visit) {
  for (ContributionId id = table.first(entry); id != kNone; id = table.following(id)) {
    if (table.live(id, now)) visit(id);
  }
}

}  // namespace

std::uint64_t Totals::saturate(store::Table::Sum sum, const Column& column) {
  const std::uint64_t maximum = column.kind == ValueKind::kUnsigned64
                                    ? std::numeric_limits<std::uint64_t>::max()
                                    : std::numeric_limits<std::uint32_t>::max();
  if (sum.high == 0 && sum.low <= maximum) return sum.low;
  ++saturated_;
  return maximum;
}

std::uint64_t Totals::number(EntryId entry, const Column& column, std::uint32_t element, TimePoint now) {
  if (column.summed) return saturate(table_->sum(entry, column, element), column);
  if (column.merge == Merge::kLastChange) {
    const ContributionId id = newest_change(entry, column, element, now);
    return id == kNone ? 0 : table_->number(id, column, element);
  }
  std::uint64_t total = 0;
  bool any = false;
  for_each_live(*table_, entry, now, [&](ContributionId id) {
    if (!table_->stores(id, column.type)) return;
    const std::uint64_t value = table_->number(id, column, element);
    const store::Origin& origin = table_->shared().origins[table_->origin(id)];
    switch (column.merge) {
      case Merge::kPresentSum:
        // Connections of a process that is gone are gone too.
        if (origin.present && table_->version(id).generation == origin.generation) total += value;
        break;
      case Merge::kMax:
        total = std::max(total, value);
        break;
      case Merge::kMin:
        total = any ? std::min(total, value) : value;
        break;
      case Merge::kSum:
      case Merge::kRate:
      case Merge::kLastChange:
        total += value;
        break;
    }
    any = true;
  });
  return saturate({total, 0}, column);
}

Counter Totals::rate(EntryId entry, const Column& column, std::uint32_t element, TimePoint now) {
  counters_.clear();
  for_each_live(*table_, entry, now, [&](ContributionId id) {
    const store::RateValue value = table_->rate(id, column, element);
    if (value.current == 0 && value.previous == 0) return;
    counters_.push_back({std::max(now - value.start, Duration(0)), value.current, value.previous});
  });
  bool cut = false;
  last_ = sum(counters_, column.period, &cut);
  last_period_ = column.period;
  if (cut) ++saturated_;
  return last_;
}

std::string_view Totals::text(EntryId entry, const Column& column, TimePoint now) const {
  const ContributionId id = newest_change(entry, column, 0, now);
  return id == kNone ? std::string_view{} : table_->text(id, column);
}

ContributionId Totals::newest_change(EntryId entry, const Column& column, std::uint32_t element,
                                     TimePoint now) const {
  ContributionId newest = kNone;
  std::uint64_t newest_number = 0;
  for_each_live(*table_, entry, now, [&](ContributionId id) {
    const std::uint64_t number = table_->change_number(id, column, element);
    if (number == 0 || number < newest_number) return;
    const store::Origins& origins = table_->shared().origins;
    if (newest != kNone && number == newest_number &&
        origins[table_->origin(id)].name < origins[table_->origin(newest)].name) {
      return;
    }
    newest = id;
    newest_number = number;
  });
  return newest;
}

}  // namespace stickmesh::aggregate
