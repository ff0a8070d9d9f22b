#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/snapshot/decoder.h"
#include "agent/snapshot/encoder.h"
#include "agent/snapshot/restoration.h"
#include "tests/unit/pipeline/instance.h"

namespace stickmesh::snapshot {

using pipeline::Agent;
using pipeline::kStart;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

inline constexpr std::int64_t kWall = 1'700'000'000'000;

/// An agent whose wall clock is |wall| ms.
inline pipeline::HubSetup setup_at(std::int64_t wall) {
  pipeline::HubSetup setup = Agent::default_setup();
  setup.wall_clock = [wall] { return std::chrono::system_clock::time_point(milliseconds(wall)); };
  return setup;
}

inline std::vector<std::byte> snapshot_of(Agent& agent, TimePoint now, std::size_t slice = 1'000'000) {
  Encoder encoder(agent.hub);
  std::vector<std::byte> file;
  while (!encoder.done()) {
    const Bytes part = encoder.next(slice, now);
    file.insert(file.end(), part.begin(), part.end());
  }
  return file;
}

inline Restoration::Counts restore(Bytes file, Agent& agent, TimePoint now) {
  Restoration restoration(agent.hub, now);
  const Result<void> decoded = decode(file, restoration);
  EXPECT_TRUE(decoded.has_value()) << to_string(decoded.error());
  return restoration.finish();
}

/// Tells |agent| what |origin| says of |key|, all types of |definition| in the order of the cells.
inline store::Applied tell(Agent& agent, std::string_view origin, const TableDefinition& definition,
                           std::string_view key, store::Version version,
                           const std::vector<std::uint64_t>& cells, TimePoint now,
                           std::string_view server_key = {}) {
  const store::OriginId id = *agent.registry.origins().intern(origin);
  agent.registry.origins()[id].generation = version.generation;
  pipeline::TableRecord& record = agent.registry.define(id, definition, now);
  const store::Plan plan = store::make_plan(definition, record.table->layout());
  return record.table->apply(plan, {id, version, as_bytes(key), cells, server_key}, now);
}

/// Everything that decides totals, one line a contribution, whatever the numbers of the origins.
inline std::vector<std::string> contents(Agent& agent, TimePoint now) {
  std::vector<std::string> lines;
  const store::Origins& origins = agent.registry.origins();
  for (const auto& [name, record] : agent.registry.tables()) {
    const store::Table& table = *record.table;
    store::CopyBuffer buffer;
    for (auto entry = table.next(0); entry != store::kNone; entry = table.next(entry + 1)) {
      for (auto id = table.first(entry); id != store::kNone; id = table.following(id)) {
        const store::Copy copy = table.copy(id, buffer, now);
        const bool written = record.replicated && copy.writer != store::kNobody;
        lines.push_back(fmt::format(
            "{} {:02x} {} {}/{} left {} cells {} server_key '{}' changes {} {}{}{} writer {} '{}'", name,
            fmt::join(copy.key, ""), origins[copy.origin].name, copy.version.generation,
            copy.version.update_id, table.definition().expire.count() == 0 ? 0 : (copy.expires - now).count(),
            copy.cells, copy.server_key, copy.changes, copy.cleared ? "c" : "", copy.owed ? "o" : "",
            table.adopted(id) ? "a" : "", written ? origins[copy.writer].name : "-",
            describe(table.copied_definition(copy.origin))));
      }
    }
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

inline TableDefinition table_of(const std::string& name, std::vector<StoredType> types,
                                Duration expire = minutes(10)) {
  TableDefinition definition = pipeline::counter_table(name);
  definition.expire = expire;
  definition.types = std::move(types);
  return definition;
}

inline TableDefinition every_type(const std::string& name) {
  std::vector<StoredType> types;
  for (std::size_t index = 0; index < kDataTypeCount; ++index) {
    const auto type = static_cast<DataType>(index);
    const bool rate = traits(type).kind == ValueKind::kRate;
    types.push_back({type, traits(type).array ? 3U : 1U, rate ? Duration(10'000) : Duration(0)});
  }
  return table_of(name, std::move(types));
}

/// A value of each type, the largest that it can have where |most| is set.
inline std::vector<std::uint64_t> cells_of(const TableDefinition& definition, bool most) {
  std::vector<std::uint64_t> cells;
  for (const StoredType& stored : definition.types) {
    for (std::uint32_t element = 0; element < stored.elements; ++element) {
      const std::uint64_t small = cells.size() + 1;
      switch (traits(stored.type).kind) {
        case ValueKind::kSigned32:
          cells.push_back(most ? static_cast<std::uint64_t>(std::int64_t{-2'147'483'648}) : small);
          break;
        case ValueKind::kUnsigned32:
          cells.push_back(most ? 0xffffffffU : small);
          break;
        case ValueKind::kUnsigned64:
          cells.push_back(most ? ~std::uint64_t{0} : small);
          break;
        case ValueKind::kRate:
          cells.insert(cells.end(), {1000 + small, most ? 0xffffffffU : small, small});
          break;
        case ValueKind::kDictionary:
          cells.push_back(store::kTextSet);
          break;
      }
    }
  }
  return cells;
}

}  // namespace stickmesh::snapshot
