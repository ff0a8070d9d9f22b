#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "agent/base/result.h"
#include "agent/pipeline/registry.h"

namespace stickmesh::pipeline {

/// Looks for instances that overwrite each other's counters before we see them: two instances in one peers
/// section (DESIGN, "The one rule for operators"). Their counters are then equal on many keys, which those of
/// instances that count apart are not. A few entries at a time.
class MixingWatch {
 public:
  /// |report|(error, table) is called once for each pair of origins and table.
  using Report = std::function<void(const Error&, const std::string& table)>;
  void look(const Registry& registry, TimePoint now, const Report& report);

 private:
  struct Seen {
    std::uint64_t pairs = 0;
    std::uint64_t equal = 0;
  };
  using Pair = std::pair<store::OriginId, store::OriginId>;

  /// True when the walk through |table| is at its end.
  bool look_at(const store::Table& table, TimePoint now);
  void judge(const Registry& registry, const std::string& table, const Report& report);

  TimePoint next_{};
  std::string table_;  ///< where the walk is
  store::EntryId entry_ = 0;
  std::map<Pair, Seen> seen_;
  std::set<std::pair<std::string, Pair>> reported_;
};

}  // namespace stickmesh::pipeline
