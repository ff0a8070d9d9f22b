#pragma once

#include <array>

#include "tests/unit/sim/process.h"

namespace stickmesh::sim {

/// The old process of a reload teaches the new one all its tables (peers-protocol 3.4), in slices between
/// which both work: what comes late overwrites what the new one has counted meanwhile.
class LocalLesson {
 public:
  LocalLesson(Process& from, Process& to)
      : from_(from), to_(to), cursors_{Cursor(from.input()), Cursor(from.total())} {}

  /// Teaches up to |entries|. True when the lesson is over.
  bool teach(std::size_t entries, TimePoint now);
  /// The old process is gone before the end.
  void abandon(TimePoint now) {
    if (begun_) to_.local_lesson_breaks(now);
  }

 private:
  Process& from_;
  Process& to_;
  std::array<Cursor, 2> cursors_;
  bool begun_ = false;
};

}  // namespace stickmesh::sim
