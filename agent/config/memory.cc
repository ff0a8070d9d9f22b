#include "agent/config/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace stickmesh::config {
namespace {

/// Of a key's row, beside its key: slab, index, expiry and change lists; and of each contribution, beside its
/// values: origin, version and life.
constexpr double kRowOverhead = 96;
constexpr double kContributionOverhead = 32;

double value_bytes(const StoredType& stored) {
  switch (traits(stored.type).kind) {
    case ValueKind::kSigned32:
    case ValueKind::kUnsigned32:
      return 4.0 * stored.elements;
    case ValueKind::kUnsigned64:
      return 8.0 * stored.elements;
    case ValueKind::kDictionary:
      return 12.0;
    case ValueKind::kRate:
      return 16.0 * stored.elements;
  }
  return 0;
}

double table_bytes(const Table& table, double origins) {
  double values = kContributionOverhead;
  for (const StoredType& stored : table.definition.types) values += value_bytes(stored);
  return static_cast<double>(table.size) * (kRowOverhead + table.definition.key_size + origins * values);
}

std::string rounded(double bytes) {
  constexpr std::array<std::string_view, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", bytes, unit == 0 || bytes >= 100 ? 0 : 1, kUnits[unit]);
}

}  // namespace

std::string memory_worst_case(const Config& config) {
  const double bound = static_cast<double>(config.agent.max_memory);
  const std::string bounded = fmt::format(
      "memory: at most {} in all (agent.max-memory); from {} on, a new key purges the oldest of the "
      "largest table",
      rounded(bound), rounded(bound * 0.9));
  double hooks = 0;
  for (const Hook& hook : config.hook) hooks += static_cast<double>(hook.memory);
  const std::string besides =
      config.hook.empty() ? "" : fmt::format("; hooks, besides: at most {}", rounded(hooks));
  if (config.table.empty()) return bounded + besides + "; no table is declared here, instances bring theirs";

  double entries = 0;
  double one = 0;
  double all = 0;
  for (const Table& table : config.table) {
    entries += static_cast<double>(table.size);
    one += table_bytes(table, 1);
    all += table_bytes(table, config.peers.max_origins);
  }
  return fmt::format(
      "{}; the {} declared table{} ({:.0f} entries) take{} about {} full with one origin, {} with all "
      "{} of peers.max-origins{}",
      bounded + besides, config.table.size(), config.table.size() == 1 ? "" : "s", entries,
      config.table.size() == 1 ? "s" : "", rounded(one), rounded(all), config.peers.max_origins,
      all > bound ? ", which max-memory would cut short" : "");
}

}  // namespace stickmesh::config
