#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/aggregate/totals.h"
#include "agent/base/result.h"
#include "agent/pipeline/limits.h"
#include "agent/pipeline/registry.h"
#include "spoe/wire/typed_data.h"

namespace stickmesh::spoe {

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
template <typename Value>
using TextMap = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;

/// One value of a table's entries, as events name it: the word of HAProxy's `show table`, so that an array's
/// elements are gpc0, gpc1, gpc1_rate.
struct Field {
  std::string name;
  std::uint32_t column;  ///< index into `Layout::columns`
  std::uint32_t element;
  std::vector<std::uint32_t> limits;  ///< of its value: indices into `pipeline::Limits::all`
};

/// A table under a name that events use: its own, or that of its total. Knows its values by name, and reads
/// their totals.
class TableView {
 public:
  TableView(pipeline::TableRecord& record, bool output, const pipeline::Limits& limits);

  pipeline::TableRecord& record() const { return *record_; }
  const store::Table& table() const { return *record_->table; }
  /// It is the total's name: to be read only.
  bool output() const { return output_; }
  /// Counts the changes of what `fields` says.
  std::uint64_t number() const { return number_; }
  /// Follows the table's layout.
  void refresh();

  const std::vector<Field>& fields() const { return fields_; }
  std::optional<std::uint32_t> find(std::string_view name) const;
  const store::Column& column(const Field& field) const { return table().layout().columns()[field.column]; }

  bool knows(store::EntryId entry, TimePoint now) const {
    return entry != store::kNone && table().shown(entry, now);
  }
  /// What HAProxy would show of the total. Null: a text that nobody has set. Valid until the table changes.
  Value total(store::EntryId entry, const Field& field, TimePoint now);
  /// How long it takes until the total is not above |limit| any more, if nothing more is counted. It is now.
  Duration until_below(store::EntryId entry, const Field& field, std::uint32_t limit, TimePoint now);

 private:
  void add(stickmesh::DataType type, const store::Column& column);
  std::vector<std::uint32_t> limits_of(stickmesh::DataType type) const;

  pipeline::TableRecord* record_;
  const pipeline::Limits* limits_;
  bool output_;
  std::uint32_t layout_number_;
  std::uint64_t number_ = 0;
  std::vector<Field> fields_;
  aggregate::Totals totals_;
};

/// The tables that events have named, by hash.
class TableViews {
 public:
  TableViews(pipeline::Registry& registry, const pipeline::Limits& limits)
      : registry_(registry), limits_(limits) {}

  /// Null when there is no such table. A slash in front is left out, as in commands. Valid while the registry
  /// is.
  TableView* find(std::string_view name);
  /// The same; an error says why there is none.
  Result<TableView*> find_any(std::string_view name);
  /// Likewise, of a table in which something can be counted: not a total.
  Result<TableView*> find_counted(std::string_view name);

 private:
  pipeline::Registry& registry_;
  const pipeline::Limits& limits_;
  TextMap<std::unique_ptr<TableView>> views_;
};

}  // namespace stickmesh::spoe
