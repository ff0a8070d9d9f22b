#include "agent/pipeline/mesh_row.h"

namespace stickmesh::pipeline {

namespace {

constexpr std::uint64_t kOfAgent = 1;
constexpr std::uint64_t kLearned = 2;
constexpr std::uint64_t kOfOrigin = 4;
constexpr std::uint64_t kHome = 8;
constexpr std::uint64_t kSynchronised = 16;
constexpr std::uint64_t kPublishes = 32;
constexpr std::uint64_t kGoesOn = 64;
constexpr std::uint64_t kOfRules = 128;
// Versions without limits know none of these, and leave such a row alone.
constexpr std::uint64_t kOfLimit = 256;
constexpr std::uint64_t kChanged = 512;
constexpr std::uint64_t kShadow = 1024;
// Above the flags of agents and origins.
constexpr unsigned kCountShift = 8;

bool has(std::uint64_t flags, std::uint64_t flag) {
  return (flags & flag) != 0;
}

}  // namespace

TableDefinition mesh_definition() {
  TableDefinition definition;
  definition.name = kMeshTable;
  definition.key_type = KeyType::kString;
  definition.key_size = 256;
  definition.types = {{DataType::kGpt, static_cast<std::uint32_t>(MeshCells{}.size()), {}}};
  return definition;
}

MeshCells encode_row(const AgentRow& row) {
  const std::uint64_t flags = kOfAgent | (row.learned ? kLearned : 0) | (row.goes_on ? kGoesOn : 0) |
                              std::uint64_t{row.losses % kLossesKept} << kCountShift;
  return {flags, row.number, row.echo, row.start};
}

MeshCells encode_row(const OriginRow& row) {
  const std::uint64_t flags = kOfOrigin | (row.home ? kHome : 0) | (row.synchronised ? kSynchronised : 0) |
                              (row.publishes ? kPublishes : 0) |
                              std::uint64_t{row.publications % kPublicationsKept} << kCountShift;
  return {flags, row.generation, row.process & 0xffffffff, row.process >> 32U};
}

MeshCells encode_row(const RulesRow& row) {
  return {kOfRules, row.digest & 0xffffffff, row.digest >> 32U, row.limits};
}

MeshCells encode_row(const LimitRow& row) {
  const LimitValue value = row.value.value_or(LimitValue{});
  return {kOfLimit | (row.value ? kChanged : 0) | (value.shadow ? kShadow : 0), value.above,
          row.changed_at & 0xffffffff, row.changed_at >> 32U};
}

std::optional<RulesRow> decode_rules_row(std::span<const std::uint64_t> cells) {
  if (cells.size() != MeshCells{}.size() || !has(cells[0], kOfRules)) return std::nullopt;
  return RulesRow{cells[2] << 32U | cells[1], static_cast<std::uint32_t>(cells[3])};
}

std::optional<LimitRow> decode_limit_row(std::span<const std::uint64_t> cells) {
  constexpr std::uint64_t kKinds = kOfAgent | kOfOrigin | kOfRules | kOfLimit;
  if (cells.size() != MeshCells{}.size() || (cells[0] & kKinds) != kOfLimit) return std::nullopt;
  LimitRow row;
  if (has(cells[0], kChanged)) row.value = {static_cast<std::uint32_t>(cells[1]), has(cells[0], kShadow)};
  row.changed_at = cells[3] << 32U | cells[2];
  return row;
}

std::optional<AgentRow> decode_agent_row(std::span<const std::uint64_t> cells) {
  if (cells.size() != MeshCells{}.size() || !has(cells[0], kOfAgent)) return std::nullopt;
  return AgentRow{has(cells[0], kLearned),
                  has(cells[0], kGoesOn),
                  static_cast<std::uint32_t>(cells[1]),
                  static_cast<std::uint32_t>(cells[2]),
                  static_cast<std::uint32_t>(cells[3]),
                  static_cast<std::uint32_t>(cells[0] >> kCountShift) % kLossesKept};
}

std::optional<OriginRow> decode_origin_row(std::span<const std::uint64_t> cells) {
  if (cells.size() != MeshCells{}.size() || !has(cells[0], kOfOrigin)) return std::nullopt;
  return OriginRow{
      has(cells[0], kHome),       has(cells[0], kSynchronised),
      has(cells[0], kPublishes),  static_cast<std::uint32_t>(cells[1]),
      cells[3] << 32U | cells[2], static_cast<std::uint32_t>(cells[0] >> kCountShift) % kPublicationsKept};
}

}  // namespace stickmesh::pipeline
