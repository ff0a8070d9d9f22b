#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "agent/base/table_definition.h"
#include "agent/pipeline/limits.h"

namespace stickmesh::pipeline {

/// The table in which agents tell each other what is no contribution (DESIGN, "Several agents"). A row is
/// what its sender says of itself, under its own name, or of an instance, under that one's.
inline constexpr std::string_view kMeshTable = "@mesh";

/// What an agent says of itself. By the numbers each side knows how old what it has from the other can be,
/// without comparing clocks: a row that is sent behind all data returns the last number that had come.
struct AgentRow {
  bool learned = false;  ///< it has all that others could teach it
  /// Lessons that it asks for may begin where it had last acknowledged.
  bool goes_on = false;
  std::uint32_t number = 0;
  std::uint32_t echo = 0;  ///< the last number that it had from the receiver; 0: there is still data to come
  /// Drawn at its start, and handed on at a soft restart: what it was told under another one is lost. 0: an
  /// earlier version, to which none is known.
  std::uint32_t start = 0;
  /// How many sessions it has lost with other agents than the receiver, modulo `kLossesKept`: it may hold
  /// what only they had told.
  std::uint32_t losses = 0;
};
inline constexpr std::uint32_t kLossesKept = 1U << 24U;

/// What an agent knows of an instance.
struct OriginRow {
  bool home = false;          ///< it has a session with it
  bool synchronised = false;  ///< and the instance has told it all that it has
  bool publishes = false;     ///< it sends the instance its totals, or what is replicated
  std::uint32_t generation = 0;
  std::uint64_t process = 0;  ///< as `store::Origin::process`
  /// As `Peer::publications`, modulo `kPublicationsKept`.
  std::uint32_t publications = 0;

  bool operator==(const OriginRow&) const = default;
};

inline constexpr std::uint32_t kPublicationsKept = 1U << 24U;

/// By which rules an agent treats tables: `Rules::digest`, and half of `Limits::digest`.
struct RulesRow {
  std::uint64_t digest = 0;
  std::uint32_t limits = 0;
};

/// What operators have made of the limit that the row is named after. Any agent sends it, and the newest
/// holds.
struct LimitRow {
  std::optional<LimitValue> value;  ///< nothing: as configured
  std::uint64_t changed_at = 0;     ///< as `Limit` has it
};

/// Rows have four numbers, of type gpt(4).
using MeshCells = std::array<std::uint64_t, 4>;

TableDefinition mesh_definition();
MeshCells encode_row(const AgentRow& row);
MeshCells encode_row(const OriginRow& row);
MeshCells encode_row(const RulesRow& row);
MeshCells encode_row(const LimitRow& row);
/// Nothing when |cells| are a row of another kind, or none.
std::optional<AgentRow> decode_agent_row(std::span<const std::uint64_t> cells);
std::optional<OriginRow> decode_origin_row(std::span<const std::uint64_t> cells);
std::optional<RulesRow> decode_rules_row(std::span<const std::uint64_t> cells);
std::optional<LimitRow> decode_limit_row(std::span<const std::uint64_t> cells);

}  // namespace stickmesh::pipeline
