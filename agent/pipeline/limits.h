#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/data_types.h"

namespace stickmesh::pipeline {

struct LimitValue {
  std::uint32_t above = 0;  ///< what is more than this is refused
  bool shadow = false;      ///< ... or would be: it is only told

  bool operator==(const LimitValue&) const = default;
};

/// A `[[limit]]` (DESIGN, "Limits, declared once").
struct Limit {
  std::string name;
  std::string table;  ///< or its total
  DataType type{};    ///< one number
  LimitValue configured;
  /// What an operator has put in its place.
  std::optional<LimitValue> changed = {};
  /// Unix milliseconds of the operator's last change, which may have been back to the config; 0: there was
  /// none. The newest of all agents holds.
  std::uint64_t changed_at = 0;

  const LimitValue& value() const { return changed ? *changed : configured; }
};

/// The limits in the order of the config, which tables and their places do not change.
class Limits {
 public:
  explicit Limits(std::vector<Limit> limits) : limits_(std::move(limits)) {}

  const std::vector<Limit>& all() const { return limits_; }
  const Limit* find(std::string_view name) const;
  /// Counts changes.
  std::uint32_t changes() const { return changes_; }
  /// |at| is when it was changed; nothing in |value|: back to the config. False when a change is known that
  /// is as new, or there is no such limit.
  bool change(std::string_view name, const std::optional<LimitValue>& value, std::uint64_t at);
  /// The same for limits that say the same in the config, with near certainty for no others; 0 without any.
  std::uint64_t digest() const;

 private:
  std::vector<Limit> limits_;
  std::uint32_t changes_ = 0;
};

}  // namespace stickmesh::pipeline
