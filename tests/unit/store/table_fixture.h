#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/store/table.h"

namespace stickmesh::store {

inline TimePoint at(std::int64_t ms) {
  return TimePoint(Duration(ms));
}

/// What the registry owns for all tables of an agent.
struct World {
  explicit World(std::size_t memory = std::size_t{1} << 30U) : budget(memory) {}

  OriginId origin(std::string_view name) { return origins.intern(name).value(); }

  MemoryBudget budget;
  Origins origins{64};
  StringPool texts;
  std::uint64_t lamport = 0;
  Shared shared{budget, origins, texts, lamport, 0x5eed, {}};
};

inline TableDefinition definition_of(std::vector<StoredType> types,
                                     Duration expire = std::chrono::seconds(10)) {
  TableDefinition definition;
  definition.name = "http";
  definition.key_type = KeyType::kString;
  definition.key_size = 33;
  definition.expire = expire;
  definition.types = std::move(types);
  return definition;
}

/// Tells a table what one origin says, with the plan that the origin's definition asks for. Each update has
/// the next update id; `version` may be changed between calls.
class Sender {
 public:
  Sender(Table& table, OriginId origin, TableDefinition definition)
      : table_(&table), origin_(origin), definition_(std::move(definition)) {}
  Sender(Table& table, OriginId origin) : Sender(table, origin, table.definition()) {}

  Applied live(std::string_view key, const std::vector<std::uint64_t>& cells, TimePoint now,
               std::string_view server_key = {}) {
    ++version.update_id;
    return send(key, cells, server_key, LifeKind::kAnew, Duration(0), now);
  }
  Applied lesson(std::string_view key, const std::vector<std::uint64_t>& cells, Duration remaining,
                 TimePoint now, std::string_view server_key = {}) {
    ++version.update_id;
    return send(key, cells, server_key, LifeKind::kRemaining, remaining, now);
  }
  /// A live update under the number of the last one.
  Applied repeat(std::string_view key, const std::vector<std::uint64_t>& cells, TimePoint now) {
    return send(key, cells, {}, LifeKind::kAnew, Duration(0), now);
  }

  OriginId origin() const { return origin_; }
  const TableDefinition& definition() const { return definition_; }

  Version version{1, 0};

 private:
  Applied send(std::string_view key, const std::vector<std::uint64_t>& cells, std::string_view server_key,
               LifeKind life, Duration remaining, TimePoint now) {
    if (planned_ != table_->layout_number() || plan_.steps.empty()) {
      plan_ = make_plan(definition_, table_->layout());
      planned_ = table_->layout_number();
    }
    return table_->apply(plan_, {origin_, version, as_bytes(key), cells, server_key, life, remaining}, now);
  }

  Table* table_;
  OriginId origin_;
  TableDefinition definition_;
  Plan plan_;
  std::uint32_t planned_ = 0;
};

inline const Column& column(const Table& table, DataType type) {
  return *table.layout().find(type);
}

inline std::uint64_t sum_of(const Table& table, std::string_view key, DataType type,
                            std::uint32_t element = 0) {
  return table.sum(table.find(as_bytes(key)), column(table, type), element).low;
}

inline std::size_t contributions_of(const Table& table, std::string_view key) {
  std::size_t count = 0;
  const EntryId entry = table.find(as_bytes(key));
  if (entry == kNone) return 0;
  for (ContributionId id = table.first(entry); id != kNone; id = table.following(id)) ++count;
  return count;
}

/// The contribution of |origin| to |key|, or kNone.
inline ContributionId contribution(const Table& table, std::string_view key, OriginId origin) {
  const EntryId entry = table.find(as_bytes(key));
  return entry == kNone ? kNone : table.find(entry, origin);
}

/// The keys that changed since the last time, in order of their change.
inline std::vector<std::string> take_changed(Table& table) {
  std::vector<std::string> keys;
  table.take_changed([&](EntryId entry) { keys.emplace_back(as_text(table.key(entry))); });
  return keys;
}

inline constexpr std::size_t kEverything = static_cast<std::size_t>(-1);

}  // namespace stickmesh::store
