#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/aggregate/totals.h"
#include "agent/store/table.h"

namespace stickmesh::admin {

/// One element of a data type, named as HAProxy's `show table` does: arrays carry the index before the first
/// underscore
/// ("gpc1_rate"), rates their period behind ("http_req_rate(10000)").
struct ValueName {
  const store::Column* column;
  std::uint32_t element;
};
std::string value_name(const store::Column& column, std::uint32_t element, bool with_period);
/// Finds the value that a user means by "gpc0" or "http_req_rate"; nothing when the table stores none of that
/// name.
std::optional<ValueName> find_value(const store::Layout& layout, std::string_view name);

/// Writes entries of one table. Values are totals, or those of one contribution.
class EntryText {
 public:
  EntryText(const store::Table& table, bool origins, bool json)
      : table_(table), totals_(table), origins_(origins), json_(json) {}

  /// Appends one line for the entry, and one for each contribution if asked for. JSON objects are separated
  /// by the caller.
  void append(std::string& out, store::EntryId entry, TimePoint now);
  /// A value's number as a reader of the table would see it; nothing for texts.
  std::optional<std::uint64_t> number(store::EntryId entry, const ValueName& value, TimePoint now);
  /// The same of one origin's part of it. No text.
  std::uint64_t part(store::ContributionId contribution, const ValueName& value, TimePoint now) const;

 private:
  void append_values(std::string& out, store::EntryId entry, store::ContributionId contribution,
                     TimePoint now);
  std::string value(store::EntryId entry, store::ContributionId contribution, const store::Column& column,
                    std::uint32_t element, TimePoint now);
  Duration remaining(TimePoint end, TimePoint now) const;

  const store::Table& table_;
  aggregate::Totals totals_;
  bool origins_;
  bool json_;
};

std::string json_string(std::string_view text);

}  // namespace stickmesh::admin
