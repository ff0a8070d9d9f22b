#include <cstring>

#include "agent/store/table.h"

namespace stickmesh::store {

namespace {

std::uint64_t load64(const std::uint32_t* words) {
  std::uint64_t value = 0;
  std::memcpy(&value, words, sizeof value);
  return value;
}
void store64(std::uint32_t* words, std::uint64_t value) {
  std::memcpy(words, &value, sizeof value);
}

}  // namespace

// The age in an update is at least the true one: what it lacks is the time on the way (peers-protocol 7.2). A
// counter that is older than two periods reads 0 for ever, and one that never ran sends its clock as age:
// both are empty.
void Table::write_rate(ContributionId id, const Column& column, std::uint32_t element,
                       const std::uint64_t* cells, TimePoint now, Written& written) {
  const Duration age(static_cast<std::int64_t>(cells[0]));
  const bool empty = (cells[1] == 0 && cells[2] == 0) || age > 2 * column.period;
  const TimePoint start = empty ? TimePoint{} : now - age;
  const std::uint32_t current = empty ? 0 : static_cast<std::uint32_t>(cells[1]);
  const std::uint32_t previous = empty ? 0 : static_cast<std::uint32_t>(cells[2]);
  std::uint32_t* words = values(id) + column.offset + element * column.stride;
  const RateValue before = rate(id, column, element);
  // The same period, seen again, starts at another millisecond by the message's time on the way.
  const bool counted = before.current != current || before.previous != previous;
  written.counted |= counted && !empty;
  written.differs |= counted || std::chrono::abs(before.start - start) > column.period / 64 + Duration(20);
  store64(words, static_cast<std::uint64_t>(start.time_since_epoch().count()));
  words[2] = current;
  words[3] = previous;
}

bool Table::write_text(ContributionId id, const Column& column, std::uint64_t cell, std::string_view text) {
  if (cell == kTextUnchanged) return false;
  std::uint32_t& place = values(id)[column.offset];
  if (shared_->texts.text(place) == (cell == kTextSet ? text : std::string_view{})) return false;
  shared_->texts.release(place);
  place = cell == kTextSet && !text.empty() ? shared_->texts.acquire(text) : 0;
  count_change(id, column, 0);
  return true;
}

bool Table::write_number(ContributionId id, const Column& column, std::uint32_t element,
                         std::uint64_t after) {
  const std::uint64_t before = number(id, column, element);
  if (before == after) return false;
  std::uint32_t* words = values(id) + column.offset + element * column.stride;
  if (column.kind == ValueKind::kUnsigned64) {
    store64(words, after);
  } else {
    *words = static_cast<std::uint32_t>(after);
  }
  if (column.summed) {
    if (after < before) ++counters_.falls;
    move_sum(head(id).entry, column, element, before, after);
  }
  if (column.changes) count_change(id, column, element);
  return true;
}

Table::Written Table::write(ContributionId id, const Plan& plan, const Change& change, bool keep_larger,
                            TimePoint now) {
  Written written;
  for (const Plan::Step& step : plan.steps) {
    const Column& column = layout_.columns()[step.column];
    const std::uint64_t* cells = &change.cells[step.cell];
    for (std::uint32_t element = 0; element < column.elements; ++element) {
      switch (column.kind) {
        case ValueKind::kRate:
          write_rate(id, column, element, cells + std::size_t{3} * element, now, written);
          break;
        case ValueKind::kDictionary:
          written.counted |= write_text(id, column, cells[element], change.server_key);
          break;
        case ValueKind::kSigned32:
        case ValueKind::kUnsigned32:
        case ValueKind::kUnsigned64:
          if (keep_larger && traits(column.type).merge == Merge::kSum &&
              cells[element] < number(id, column, element)) {
            written.kept = true;
          } else {
            written.counted |= write_number(id, column, element, cells[element]);
          }
          break;
      }
    }
  }
  written.differs |= written.counted;
  return written;
}

void Table::zero(ContributionId id, TimePoint now, bool owed) {
  Written unused;
  for (const Column& column : layout_.columns()) {
    for (std::uint32_t element = 0; element < column.elements; ++element) {
      constexpr std::uint64_t kEmptyRate[3] = {0, 0, 0};
      switch (column.kind) {
        case ValueKind::kRate:
          write_rate(id, column, element, kEmptyRate, now, unused);
          break;
        case ValueKind::kDictionary:
          write_text(id, column, kTextNone, {});
          break;
        case ValueKind::kSigned32:
        case ValueKind::kUnsigned32:
        case ValueKind::kUnsigned64:
          write_number(id, column, element, 0);
          break;
      }
    }
  }
  settle(id);
  head(id).flags = kClearedFlag | (head(id).flags & kHeard);
  hear(id);
  if (owed) owe(id);
  set_expiry(id, now + (definition_.expire.count() == 0 ? kUnlimitedLife : definition_.expire));
}

void Table::count_change(ContributionId id, const Column& column, std::uint32_t element) {
  set_change_number(id, column, element, ++shared_->lamport);
}

void Table::set_change_number(ContributionId id, const Column& column, std::uint32_t element,
                              std::uint64_t number) {
  store64(values(id) + column.offset + (element + 1) * column.stride - 2, number);
}

void Table::move_sum(EntryId entry, const Column& column, std::uint32_t element, std::uint64_t before,
                     std::uint64_t after) {
  if (entry_head(entry).sums == kNone) return;
  if (column.kind == ValueKind::kUnsigned64) {
    std::uint32_t* words = sums(entry) + column.sum_offset + element * 4;
    const std::uint64_t low = load64(words);
    const std::uint64_t without = low - before;
    const std::uint64_t with = without + after;
    store64(words, with);
    store64(words + 2, load64(words + 2) - (without > low ? 1U : 0U) + (with < without ? 1U : 0U));
  } else {
    std::uint32_t* words = sums(entry) + column.sum_offset + element * 2;
    store64(words, load64(words) - before + after);
  }
}

std::uint64_t Table::number(ContributionId id, const Column& column, std::uint32_t element) const {
  const std::uint32_t* words = values(id) + column.offset + element * column.stride;
  if (column.kind == ValueKind::kUnsigned64) return load64(words);
  if (column.kind == ValueKind::kSigned32) {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int32_t>(*words)));
  }
  return *words;
}

RateValue Table::rate(ContributionId id, const Column& column, std::uint32_t element) const {
  const std::uint32_t* words = values(id) + column.offset + element * column.stride;
  return {TimePoint(Duration(static_cast<std::int64_t>(load64(words)))), words[2], words[3]};
}

std::string_view Table::text(ContributionId id, const Column& column) const {
  return shared_->texts.text(values(id)[column.offset]);
}

std::uint64_t Table::change_number(ContributionId id, const Column& column, std::uint32_t element) const {
  return column.changes ? load64(values(id) + column.offset + (element + 1) * column.stride - 2) : 0;
}

Table::Sum Table::sum(EntryId entry, const Column& column, std::uint32_t element) const {
  if (entry_head(entry).sums == kNone) {
    const ContributionId only = first(entry);
    return {only == kNone ? 0 : number(only, column, element), 0};
  }
  if (column.kind == ValueKind::kUnsigned64) {
    const std::uint32_t* words = sums(entry) + column.sum_offset + element * 4;
    return {load64(words), load64(words + 2)};
  }
  return {load64(sums(entry) + column.sum_offset + element * 2), 0};
}

}  // namespace stickmesh::store
