#pragma once

#include <string_view>
#include <vector>

#include "agent/aggregate/rate.h"
#include "agent/store/table.h"

namespace stickmesh::aggregate {

/// Reads the total of an entry, one value at a time, from its live contributions (DESIGN, "How tables are
/// treated"). Keeps scratch space between calls: one object serves many entries.
class Totals {
 public:
  explicit Totals(const store::Table& table) : table_(&table) {}

  /// unsigned32, signed32 and unsigned64 columns, saturated at the type's maximum.
  std::uint64_t number(store::EntryId entry, const store::Column& column, std::uint32_t element,
                       TimePoint now);
  Counter rate(store::EntryId entry, const store::Column& column, std::uint32_t element, TimePoint now);
  /// Valid until the table changes.
  std::string_view text(store::EntryId entry, const store::Column& column, TimePoint now) const;

  /// When the counter that |rate| last returned will have left the true total; nothing when it will not.
  std::optional<Duration> last_rate_strays_after() const {
    return strays_after(last_, counters_, last_period_);
  }

  /// How many values were cut at their type's maximum.
  std::uint64_t saturated() const { return saturated_; }

 private:
  store::ContributionId newest_change(store::EntryId entry, const store::Column& column,
                                      std::uint32_t element, TimePoint now) const;
  std::uint64_t saturate(store::Table::Sum sum, const store::Column& column);

  const store::Table* table_;
  std::vector<Counter> counters_;
  Counter last_;
  Duration last_period_{0};
  std::uint64_t saturated_ = 0;
};

}  // namespace stickmesh::aggregate
