#include "agent/peers/session/learner.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "agent/peers/wire/ack.h"

namespace stickmesh::peers {

namespace {

/// Longer ones carry bytes that we do not know, and a peer could have us keep any number of those.
constexpr std::size_t kMaxKeptDefinition = 2048;

}  // namespace

Result<void> Learner::define(Bytes body, TimePoint now) {
  const Result<std::size_t> index = bind(body);
  if (!index) return tl::unexpected(index.error());
  selected_ = *index;
  Table& table = tables_[*index];
  table.handle = handler_.table_defined(table.definition, now);
  return {};
}

/// HAProxy repeats a definition each time it turns to another table: the same bytes are not decoded again.
Result<std::size_t> Learner::bind(Bytes body) {
  const TableId id = static_cast<TableId>(Reader(body).varint_up_to(std::numeric_limits<TableId>::max()));
  const auto bound = by_id_.find(id);
  if (bound != by_id_.end()) {
    const std::vector<std::byte>& wire = tables_[bound->second].wire;
    if (std::equal(wire.begin(), wire.end(), body.begin(), body.end())) return bound->second;
  }

  Result<DefinedTable> defined = decode_definition(body);
  if (!defined) return tl::unexpected(defined.error());
  Result<std::size_t> index = table_named(defined->definition.name);
  if (!index) return index;
  if (bound != by_id_.end()) tables_[bound->second].id = 0;
  Table& table = tables_[*index];
  if (table.id != 0) by_id_.erase(table.id);
  table.id = id;
  by_id_[id] = *index;
  table.wire.clear();
  if (body.size() <= kMaxKeptDefinition) table.wire.assign(body.begin(), body.end());
  table.definition = std::move(defined->definition);
  table.server_key_cell = server_key_cell(table.definition);
  table.cell_count = cell_count(table.definition);
  cells_.resize(std::max(cells_.size(), table.cell_count));
  table.change_count = table.definition.versioned ? change_count(table.definition) : 0;
  changes_.resize(std::max(changes_.size(), table.change_count));
  return index;
}

Result<std::size_t> Learner::table_named(const std::string& name) {
  const auto known = by_name_.find(name);
  if (known != by_name_.end()) return known->second;
  if (tables_.size() >= max_tables_) {
    return refuse(Reason::kTooManyTables, fmt::format("\"{}\" would be number {}", name, tables_.size() + 1));
  }
  tables_.emplace_back();
  by_name_.emplace(name, tables_.size() - 1);
  return tables_.size() - 1;
}

Result<void> Learner::select(Bytes body) {
  const Result<TableId> id = decode_switch(body);
  if (!id) return tl::unexpected(id.error());
  const auto bound = by_id_.find(*id);
  if (bound == by_id_.end()) return refuse(Reason::kUnknownTableId, fmt::format("switch to table {}", *id));
  selected_ = bound->second;
  return {};
}

Result<void> Learner::update(TableType type, Bytes body, TimePoint now) {
  if (!selected_) return refuse(Reason::kUnknownTableId, "an update before any definition");
  const std::size_t index = *selected_;
  Table& table = tables_[index];
  if (!table.handle) {
    ++traffic_.updates_ignored;
    return {};
  }
  const std::span<std::uint64_t> cells = std::span(cells_).first(table.cell_count);
  const Result<EntryUpdate> decoded =
      decode_update(type, body, table.definition, cells, std::span(changes_).first(table.change_count));
  if (!decoded) return tl::unexpected(decoded.error());
  ++traffic_.updates_in;
  table.last_id = decoded->has_id ? decoded->id : table.last_id + 1;

  Update update;
  update.update_id = table.last_id;
  update.lesson = learning_ && (decoded->timed || untimed_lessons_);
  update.timed = decoded->timed;
  update.remaining = decoded->remaining;
  update.key = decoded->key;
  update.cells = cells;
  update.server_key = resolve_server_key(table, decoded->server_key);
  update.version = decoded->version;
  if (!update.lesson) {
    table.live_id = table.last_id;
    if (!table.ack_due) acks_due_.push_back(index);
    table.ack_due = true;
  }
  handler_.updated(*table.handle, update, now);
  return {};
}

std::string_view Learner::resolve_server_key(const Table& table, const ServerKeyField& field) {
  if (field.slot == 0) return {};
  if (field.has_name) {
    dictionary_.store(field.slot, field.name);
    return field.name;
  }
  const std::optional<std::string_view> name = dictionary_.find(field.slot);
  if (!name) return {};
  cells_[*table.server_key_cell] = kServerKeySet;
  return *name;
}

void Learner::write_acks(Writer out) {
  for (const std::size_t index : acks_due_) {
    Table& table = tables_[index];
    table.ack_due = false;
    // 0 is the receiver's initial value, which it never acknowledges; table 0 is one that lost its number.
    if (table.id == 0 || table.live_id == 0 || table.live_id == table.acked_id) continue;
    encode_ack({table.id, table.live_id}, out);
    table.acked_id = table.told_id = table.live_id;
    ++traffic_.acks_out;
  }
  acks_due_.clear();
}

std::vector<TableTaken> Learner::tables_taken() const {
  std::vector<TableTaken> all;
  for (const Table& table : tables_) {
    if (table.id == 0) continue;
    all.push_back({table.definition.name, table.handle.has_value(), table.live_id, table.told_id});
  }
  return all;
}

bool Learner::start_lesson() {
  restart_ = learning_;
  learning_ = true;
  return !restart_;
}

Learner::LessonEnd Learner::end_lesson() {
  if (!learning_) return LessonEnd::kUnasked;
  ++traffic_.lessons_in;
  // HAProxy has ignored what we acknowledged since our request, and sends those updates once more: so do we.
  for (Table& table : tables_) table.acked_id = 0;
  learning_ = restart_;
  restart_ = false;
  return learning_ ? LessonEnd::kRestart : LessonEnd::kEnded;
}

}  // namespace stickmesh::peers
