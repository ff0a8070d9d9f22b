#include "agent/pipeline/output.h"

#include <fmt/format.h>

#include <algorithm>

namespace stickmesh::pipeline {

using store::Column;
using store::EntryId;

namespace {

// An encoding holds ages and a remaining time, so it is worth sharing only while these are still true.
constexpr Duration kEncodingLife{10};
constexpr std::size_t kRecentEncodings = 1024;
constexpr std::uint64_t kMaximum32 = 0xffffffff;

}  // namespace

Output::Output(store::Table& table, std::string name, Copies copies, TimePoint now)
    : table_(&table),
      name_(std::move(name)),
      copies_(std::move(copies)),
      totals_(table),
      strays_(Duration(10), now, table.shared().budget),
      layout_number_(table.layout_number()) {
  table.track_changes(true);
  table.on_removed([this](EntryId entry) { strays_.remove(entry); });
}

Output::Output(store::Table& table, TimePoint now) : Output(table, table.name(), {}, now) {
  replicated_ = true;
}

const Column* Output::source(DataType type) const {
  for (const auto& [from, to] : copies_) {
    if (to == type) return table_->layout().find(from);
  }
  return table_->layout().find(type);
}

Result<ShapeId> Output::shape_for(const TableDefinition& receiver) {
  const TableDefinition& input = table_->definition();
  if (receiver.key_type != input.key_type || receiver.key_size != input.key_size) {
    return refuse(Reason::kDefinitionMismatch,
                  fmt::format("table {} has '{}' as key and its total {} '{}': declare both alike",
                              table_->name(), describe({"", input.key_type, input.key_size, {}, {}}), name_,
                              describe({"", receiver.key_type, receiver.key_size, {}, {}})));
  }
  Shape shape;
  shape.definition = receiver;
  shape.definition.types.clear();
  for (const StoredType& wanted : receiver.types) {
    const Column* column = source(wanted.type);
    if (column == nullptr) continue;
    if (column->period != wanted.period || column->elements != wanted.elements) {
      return refuse(
          Reason::kDefinitionMismatch,
          fmt::format("{} stores '{}' and its total {} '{}': declare both with the same period and length",
                      table_->name(), describe(input), name_, describe(receiver)));
    }
    shape.definition.types.push_back(wanted);
    shape.columns.push_back(column);
  }
  if (shape.definition.types.empty()) {
    return refuse(Reason::kDefinitionMismatch,
                  fmt::format("{} stores no data type that its total {} has ('{}', '{}')", table_->name(),
                              name_, describe(input), describe(receiver)));
  }
  if (layout_number_ != table_->layout_number()) {
    shapes_.clear();
    receivers_ = 0;
    layout_number_ = table_->layout_number();
  }
  // What was published while nobody was there is watched from when it is sent on.
  if (receivers_++ == 0) before_last_publish_ = feed_.last();
  ShapeId place = static_cast<ShapeId>(shapes_.size());
  for (ShapeId id = 0; id < shapes_.size(); ++id) {
    if (shapes_[id].users == 0) {
      place = id;
    } else if (shapes_[id].definition == shape.definition) {
      ++shapes_[id].users;
      return id;
    }
  }
  shape.recent.resize(kRecentEncodings);
  shape.users = 1;
  if (place == shapes_.size()) shapes_.emplace_back();
  shapes_[place] = std::move(shape);
  return place;
}

// A receiver may announce its table anew with every message: what it had before must not stay.
void Output::release(ShapeId id, std::uint32_t layout_number) {
  if (layout_number != layout_number_) return;
  --receivers_;
  if (--shapes_[id].users == 0) shapes_[id] = {};
}

bool Output::due(TimePoint now) {
  // Never more at once than the loop can bear: the rest comes up at the next call.
  strays_.advance(now, 10'000, [&](EntryId entry) { table_->mark_changed(entry); });
  return table_->has_changed();
}

void Output::publish(TimePoint now) {
  last_publish_ = now;
  before_last_publish_ = feed_.last();
  // Contributions are far from each other in memory, and there can be many: without a receiver none is read.
  // The end is then what it is at most, until it is told.
  const TimePoint latest_end = now + table_->definition().expire;
  const bool read = receivers_ != 0 || reader_;
  table_->take_changed([&](EntryId entry) {
    table_->set_published(entry, feed_.publish(entry), read ? table_->end(entry) : latest_end);
    if (receivers_ != 0) watch_rates(entry, Watch::kAnew, now);
    ++published_;
  });
  const bool compacted = feed_.compact(table_->entries(), [&](const store::ChangeFeed::Place& place) {
    return newest(place.entry) == place.sequence;
  });
  if (compacted) ++compactions_;
}

void Output::publish_newest_again() {
  for (std::size_t at = feed_.size(); at-- != 0;) {
    const store::ChangeFeed::Place place = feed_.at(at);
    if (newest(place.entry) != place.sequence) continue;
    table_->set_published(place.entry, feed_.publish(place.entry), table_->published_end(place.entry));
    return;
  }
}

void Output::watch_rates(EntryId entry, Watch watch, TimePoint now) {
  std::optional<Duration> soonest;
  // With a single contribution the published counter is the origin's own.
  if (table_->following(table_->first(entry)) == store::kNone) return strays_.remove(entry);
  for (const Column& column : table_->layout().columns()) {
    if (column.merge != Merge::kRate) continue;
    for (std::uint32_t element = 0; element < column.elements; ++element) {
      totals_.rate(entry, column, element, now);
      const auto strays = totals_.last_rate_strays_after();
      if (strays && (!soonest || *strays < *soonest)) soonest = strays;
    }
  }
  if (watch == Watch::kAtTheLatest && strays_.waiting(entry)) {
    if (soonest) strays_.schedule(entry, now + *soonest);
    return;
  }
  if (!soonest) return strays_.remove(entry);
  // Without memory for it the rate strays until the entry changes again: memory is short because the table is
  // purging.
  static_cast<void>(strays_.add(entry, now + *soonest));
}

Bytes Output::encode(ShapeId id, const store::ChangeFeed::Place& place, TimePoint now) {
  if (!table_->uses(place.entry)) return {};
  Shape& shape = shapes_[id];
  Encoded& slot = shape.recent[place.sequence % kRecentEncodings];
  if (slot.sequence == place.sequence && now - slot.made <= kEncodingLife) return slot.bytes;

  std::optional<Duration> remaining;
  if (shape.definition.expire.count() != 0) {
    const TimePoint end = table_->end(place.entry);
    remaining = std::min(end - now, shape.definition.expire);
    if (remaining->count() <= 0) return {};
    if (end < table_->published_end(place.entry)) {
      table_->set_published(place.entry, newest(place.entry), end);
    }
  }
  encode_entry(shape, static_cast<std::uint32_t>(place.sequence), place.entry, remaining, now);
  // What is sent late is another counter than the one that was published.
  if (place.sequence <= before_last_publish_ || now - last_publish_ > kEncodingLife) {
    watch_rates(place.entry, Watch::kAtTheLatest, now);
  }
  const Bytes message = encoder_.finish();
  slot.sequence = place.sequence;
  slot.made = now;
  slot.bytes.assign(message.begin(), message.end());
  return slot.bytes;
}

void Output::encode_entry(const Shape& shape, std::uint32_t update_id, EntryId entry,
                          std::optional<Duration> remaining, TimePoint now) {
  encoder_.begin(update_id, remaining);
  encoder_.key(shape.definition.key_type, table_->key(entry));
  for (std::size_t index = 0; index < shape.columns.size(); ++index) {
    const Column* column = shape.columns[index];
    const DataType type = shape.definition.types[index].type;
    for (std::uint32_t element = 0; element < column->elements; ++element) {
      switch (column->kind) {
        case ValueKind::kRate: {
          const aggregate::Counter counter = totals_.rate(entry, *column, element, now);
          encoder_.rate(static_cast<std::uint32_t>(counter.age.count()), counter.current, counter.previous);
          break;
        }
        case ValueKind::kDictionary:
          encoder_.server_key(totals_.text(entry, *column, now));
          break;
        case ValueKind::kSigned32:
        case ValueKind::kUnsigned32:
        case ValueKind::kUnsigned64:
          encoder_.number(number(type, *column, element, entry, now));
          break;
      }
    }
  }
}

std::uint64_t Output::number(DataType as, const Column& column, std::uint32_t element, EntryId entry,
                             TimePoint now) {
  const std::uint64_t number = totals_.number(entry, column, element, now);
  return traits(as).kind == ValueKind::kUnsigned32 ? std::min(number, kMaximum32) : number;
}

bool Output::says_the_same(ShapeId id, const TableDefinition& announced, const peers::Update& update,
                           EntryId entry, TimePoint now) {
  const Shape& shape = shapes_[id];
  const std::uint64_t* cells = update.cells.data();
  std::size_t at = 0;
  for (const StoredType& stored : announced.types) {
    if (at < shape.columns.size() && shape.definition.types[at].type == stored.type) {
      if (!says_the_same(stored.type, *shape.columns[at++], cells, update.server_key, entry, now))
        return false;
    }
    cells += stored.elements * (traits(stored.type).kind == ValueKind::kRate ? 3 : 1);
  }
  return true;
}

bool Output::says_the_same(DataType type, const Column& column, const std::uint64_t* cells,
                           std::string_view text, EntryId entry, TimePoint now) {
  if (column.kind == ValueKind::kRate || type == DataType::kConnCur) return true;
  if (column.kind == ValueKind::kDictionary) {
    const std::string_view said = *cells == store::kTextSet ? text : std::string_view{};
    const std::string_view held = totals_.text(entry, column, now);
    // Nobody can be told that a text is gone: HAProxy then keeps the one that it has.
    return *cells == store::kTextUnchanged || held.empty() || held == said;
  }
  for (std::uint32_t element = 0; element < column.elements; ++element) {
    if (cells[element] != number(type, column, element, entry, now)) return false;
  }
  return true;
}

std::size_t Output::memory() const {
  return feed_.memory() + strays_.memory() + shapes_.size() * kRecentEncodings * sizeof(Encoded);
}

}  // namespace stickmesh::pipeline
