#include "tests/unit/sim/cursor.h"

namespace stickmesh::sim {

namespace {

bool after(std::uint32_t id, std::uint32_t other) {
  return static_cast<std::int32_t>(id - other) > 0;
}

}  // namespace

void Cursor::connect() {
  // An id of the future can only be an old one: everything is told anew.
  if (after(acknowledged_, table_->local_update())) acknowledged_ = table_->local_update() + 0x80000000U;
  begin_lesson();
  if (after(pushed_, table_->committed())) table_->commit(pushed_);
}

void Cursor::begin_lesson() {
  origin_ = pushed_ = acknowledged_;
  stage_ = Stage::kToTheEnd;
}

void Cursor::confirm() {
  acknowledged_ = pushed_ = origin_;
}

void Cursor::all_pushed() {
  pushed_ = table_->local_update();
  table_->commit(pushed_);
}

const StickTable::Entry* Cursor::next_change() {
  const StickTable::Entry* entry = table_->at_or_after(pushed_ + 1);
  if (entry == nullptr) entry = table_->at_or_after(0);
  if (entry != nullptr && *entry->id != pushed_ && *entry->id - pushed_ <= table_->local_update() - pushed_)
    return entry;
  all_pushed();
  return nullptr;
}

void Cursor::changed_sent(std::uint32_t id) {
  pushed_ = id;
  if (after(id, table_->committed())) table_->commit(id);
}

const StickTable::Entry* Cursor::next_taught() {
  if (stage_ == Stage::kToTheEnd) {
    if (const StickTable::Entry* entry = table_->at_or_after(pushed_ + 1)) return entry;
    stage_ = Stage::kFromTheStart;
    if (const StickTable::Entry* first = table_->at_or_after(0)) pushed_ = *first->id - 1;
  }
  if (stage_ == Stage::kFromTheStart) {
    const StickTable::Entry* entry = table_->at_or_after(pushed_ + 1);
    if (entry != nullptr && *entry->id <= origin_) return entry;
    stage_ = Stage::kOver;
  }
  return nullptr;
}

}  // namespace stickmesh::sim
