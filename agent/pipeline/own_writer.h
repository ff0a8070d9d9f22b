#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "agent/pipeline/hub.h"

namespace stickmesh::pipeline {

/// What becomes of one value of an entry.
struct OwnValue {
  enum class How : std::uint8_t {
    kSet,  ///< of a rate: so many events in a period that begins now, as HAProxy's `set table` has it
    kAdd,  ///< numbers and rates; stops at the type's maximum
  };
  std::uint32_t column = 0;  ///< index into `Layout::columns`
  std::uint32_t element = 0;
  How how = How::kSet;
  std::uint64_t number = 0;
  std::string_view text{};  ///< of a dictionary, in place of the number; empty: no value
};

/// Writes what this agent itself has to say of entries: its own contribution, or, of a replicated table, the
/// entry's only one. Contributions are absolute, so that what was said before is read, changed and said
/// again. Keeps scratch space between calls.
class OwnWriter {
 public:
  explicit OwnWriter(Hub& hub) : hub_(hub) {}

  /// Values that are not named stay as they are. The entry's life begins anew, or is |life|. False, and
  /// nothing has changed, when there is no room for the key.
  bool write(TableRecord& record, Bytes key, std::span<const OwnValue> values, std::optional<Duration> life,
             TimePoint now);

 private:
  void append_number(const store::Table& table, store::ContributionId own, const store::Column& column,
                     std::uint32_t element, const OwnValue* value);
  void append_rate(const store::Table& table, store::ContributionId own, const store::Column& column,
                   std::uint32_t element, const OwnValue* value, TimePoint now);

  Hub& hub_;
  store::Plan plan_;
  std::vector<std::uint64_t> cells_;
};

}  // namespace stickmesh::pipeline
