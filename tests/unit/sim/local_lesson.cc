#include "tests/unit/sim/local_lesson.h"

namespace stickmesh::sim {

bool LocalLesson::teach(std::size_t entries, TimePoint now) {
  if (!begun_) {
    begun_ = true;
    for (Cursor& cursor : cursors_) cursor.connect();
    to_.local_lesson_begins();
  }
  from_.run(now);
  for (Cursor& cursor : cursors_) {
    while (const StickTable::Entry* entry = cursor.next_taught()) {
      if (entries-- == 0) return false;
      to_.local_update(&cursor == &cursors_[0], *entry, now);
      cursor.taught(*entry->id);
    }
  }
  to_.local_lesson_ends();
  return true;
}

}  // namespace stickmesh::sim
