#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/aggregate/totals.h"
#include "agent/store/table.h"

namespace stickmesh::redis {

/// The name of a table's entries in Redis: PREFIX:TABLE:KEY. TABLE has `%25` for `%` and `%3A` for `:`; KEY
/// is as HAProxy shows it, but strings as they are.
class EntryKeys {
 public:
  EntryKeys(std::string_view prefix, const store::Table& table);
  /// Valid until the next call.
  std::string_view of(store::EntryId entry);
  /// How much of it stands before KEY.
  std::size_t head() const { return head_ + 1; }
  /// PREFIX:TABLE@ORIGIN:KEY, of what one origin has said of it. ORIGIN is written like TABLE.
  std::string_view of(store::EntryId entry, std::string_view origin);

 private:
  std::string_view with_key(store::EntryId entry);

  const store::Table* table_;
  std::string key_;
  std::size_t head_;  ///< of |key_|: what all have in common
};

/// The fields of an entry's hash: of each data type its total, by the name that HAProxy's `show table` has
/// for it. A rate NAME is what a reader of the table sees; with NAME.counter ("START CURRENT PREVIOUS", the
/// start of its period in ms of Unix time) a reader can tell what it is later.
class EntryFields {
 public:
  explicit EntryFields(const store::Table& table) : table_(&table), totals_(table) {}

  /// Names and values in turn, valid until the next call.
  std::span<const std::string> of(store::EntryId entry, TimePoint now,
                                  std::chrono::system_clock::time_point wall_clock);

 private:
  void follow_layout();

  const store::Table* table_;
  aggregate::Totals totals_;
  std::uint32_t layout_number_ = 0;
  std::vector<std::string> fields_;
};

/// TABLE, with what separates it from others in a key's name written otherwise.
std::string key_part(std::string_view table);

}  // namespace stickmesh::redis
