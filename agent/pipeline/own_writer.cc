#include "agent/pipeline/own_writer.h"

#include <algorithm>
#include <limits>

namespace stickmesh::pipeline {

using store::Column;
using store::ContributionId;
using store::EntryId;
using store::kNone;

namespace {

std::uint64_t added(std::uint64_t before, std::uint64_t more, ValueKind kind) {
  const std::uint64_t maximum = kind == ValueKind::kUnsigned64 ? std::numeric_limits<std::uint64_t>::max()
                                                               : std::numeric_limits<std::uint32_t>::max();
  return before >= maximum || more > maximum - before ? maximum : before + more;
}

// As HAProxy's own counters go on (peers-protocol 7.1).
store::RateValue counted(store::RateValue rate, std::uint64_t events, Duration period, TimePoint now) {
  const auto more = static_cast<std::uint32_t>(added(0, events, ValueKind::kRate));
  if (now - rate.start < period) {
    rate.current = static_cast<std::uint32_t>(added(rate.current, more, ValueKind::kRate));
    return rate;
  }
  rate.previous = rate.current;
  rate.current = more;
  rate.start += period;
  if (now - rate.start >= period) rate = {now, more, 0};
  return rate;
}

}  // namespace

bool OwnWriter::write(TableRecord& record, Bytes key, std::span<const OwnValue> values,
                      std::optional<Duration> life, TimePoint now) {
  store::Table& table = *record.table;
  const EntryId entry = table.find(key);
  ContributionId own = kNone;
  if (entry != kNone) {
    own = record.replicated ? table.first(entry) : table.find(entry, hub_.own_origin());
  }
  plan_.steps.clear();
  // Types are an origin's, not an entry's: those that other keys have stay stored.
  plan_.types = record.replicated ? ~0U : table.stored_types(hub_.own_origin());
  cells_.clear();
  std::string_view text;
  const auto& columns = table.layout().columns();
  for (std::uint32_t index = 0; index < columns.size(); ++index) {
    const Column& column = columns[index];
    const auto of_column = [&](const OwnValue& value) { return value.column == index; };
    if (std::none_of(values.begin(), values.end(), of_column)) continue;
    plan_.types |= 1U << static_cast<unsigned>(column.type);
    plan_.steps.push_back({static_cast<std::uint32_t>(cells_.size()), index});
    for (std::uint32_t element = 0; element < column.elements; ++element) {
      const auto found = std::find_if(values.begin(), values.end(), [&](const OwnValue& value) {
        return of_column(value) && value.element == element;
      });
      const OwnValue* value = found == values.end() ? nullptr : &*found;
      if (column.kind == ValueKind::kRate) {
        append_rate(table, own, column, element, value, now);
      } else if (column.kind == ValueKind::kDictionary) {
        text = value->text;
        cells_.push_back(text.empty() ? store::kTextNone : store::kTextSet);
      } else {
        append_number(table, own, column, element, value);
      }
    }
  }
  store::Change change{
      hub_.own_origin(), hub_.next_version(record), key, cells_, text, store::LifeKind::kAnew, {}};
  if (life) {
    change.life = store::LifeKind::kRemaining;
    change.remaining = *life;
  }
  const bool written = table.apply(plan_, change, now) != store::Applied::kNoMemory;
  if (written && record.replicated) table.set_writer(table.first(table.find(key)), store::kNobody);
  hub_.wake();
  return written;
}

void OwnWriter::append_number(const store::Table& table, ContributionId own, const Column& column,
                              std::uint32_t element, const OwnValue* value) {
  const std::uint64_t before = own == kNone ? 0 : table.number(own, column, element);
  if (value == nullptr) {
    cells_.push_back(before);
  } else if (value->how == OwnValue::How::kSet) {
    cells_.push_back(value->number);
  } else {
    cells_.push_back(added(before, value->number, column.kind));
  }
}

void OwnWriter::append_rate(const store::Table& table, ContributionId own, const Column& column,
                            std::uint32_t element, const OwnValue* value, TimePoint now) {
  store::RateValue rate{now, 0, 0};
  if (own != kNone) rate = table.rate(own, column, element);
  if (value != nullptr && value->how == OwnValue::How::kSet) {
    rate = {now, static_cast<std::uint32_t>(value->number), 0};
  } else if (value != nullptr) {
    rate = counted(rate, value->number, column.period, now);
  }
  cells_.push_back(static_cast<std::uint64_t>(std::max(now - rate.start, Duration(0)).count()));
  cells_.push_back(rate.current);
  cells_.push_back(rate.previous);
}

}  // namespace stickmesh::pipeline
