#pragma once

#include <cstdint>

#include "tests/unit/sim/stick_table.h"

namespace stickmesh::sim {

/// How far one peer has been told of one table: by live pushes, and by a lesson. Kept by the process across
/// connections (peers-protocol 3.1, 3.2).
class Cursor {
 public:
  explicit Cursor(StickTable& table) : table_(&table) {}

  StickTable& table() const { return *table_; }

  void connect();
  void acknowledge(std::uint32_t id) { acknowledged_ = id; }

  bool waits() const { return pushed_ != table_->local_update(); }
  /// The next local change to push; null when all are.
  const StickTable::Entry* next_change();
  void changed_sent(std::uint32_t id);

  void begin_lesson();
  bool lesson_over() const { return stage_ == Stage::kOver; }
  /// The next entry of the lesson; null at its end.
  const StickTable::Entry* next_taught();
  void taught(std::uint32_t id) { pushed_ = id; }
  /// The lesson is confirmed: changes since the acknowledged one are pushed, again where the lesson had them.
  void confirm();

 private:
  enum class Stage : std::uint8_t { kToTheEnd, kFromTheStart, kOver };

  void all_pushed();

  StickTable* table_;
  std::uint32_t acknowledged_ = 0;
  std::uint32_t pushed_ = 0;
  std::uint32_t origin_ = 0;  ///< where the lesson began
  Stage stage_ = Stage::kToTheEnd;
};

}  // namespace stickmesh::sim
