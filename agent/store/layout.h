#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "agent/base/table_definition.h"

namespace stickmesh::store {

/// Where the values of one data type lie. Offsets are in 32-bit words of a contribution's values and of an
/// entry's sums.
///
/// | kind       | words of a contribution, per element      | words of an entry's sum, per element |
/// | unsigned32 | value [change number: 2]                  | 2 |
/// | signed32   | value, change number: 2                   | - |
/// | unsigned64 | value: 2 [change number: 2]               | 4 |
/// | rate       | start: 2, current, previous               | - |
/// | dictionary | id of the text, change number: 2          | - |
struct Column {
  DataType type;
  ValueKind kind;
  std::uint32_t elements;
  Duration period;
  std::uint32_t offset;
  std::uint32_t stride;  ///< words from one element to the next
  std::uint32_t sum_offset;
  Merge merge;
  bool summed;   ///< the entry keeps its sum, by difference
  bool changes;  ///< each element carries the number of its last change
};

/// How the values of one kind of rows are laid out: all columns that any origin of the table stores.
class Layout {
 public:
  Layout() = default;
  Layout(const std::vector<StoredType>& types, const Merges& merges);

  const std::vector<Column>& columns() const { return columns_; }
  const Column* find(DataType type) const;
  std::uint32_t value_words() const { return value_words_; }
  std::uint32_t sum_words() const { return sum_words_; }

 private:
  std::vector<Column> columns_;
  std::uint32_t value_words_ = 0;
  std::uint32_t sum_words_ = 0;
};

/// How the cells of one sender's updates reach the columns: made once per definition, used for each update.
struct Plan {
  struct Step {
    std::uint32_t cell;        ///< the first cell of the type in `peers::Update::cells`
    std::uint32_t column;      ///< index into `Layout::columns`
    std::uint32_t change = 0;  ///< the first of the type in `Copy::changes`
  };
  std::vector<Step> steps;
  std::uint32_t types = 0;  ///< bit n: the sender stores data type n
};

Plan make_plan(const TableDefinition& sender, const Layout& layout);

/// Why rows of |other| must not be mixed with those of |standing|: words for the operator, or nothing when
/// they may. Different sets of data types are fine; key, periods and array lengths are not.
std::optional<std::string> mismatch(const TableDefinition& standing, const TableDefinition& other);

}  // namespace stickmesh::store
