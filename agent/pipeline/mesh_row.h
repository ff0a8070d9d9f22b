#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "agent/base/table_definition.h"

namespace stickmesh::pipeline {

/// The table in which agents tell each other what is no contribution (DESIGN, "Several agents"). A row is
/// what its sender says of itself, under its own name, or of an instance, under that one's.
inline constexpr std::string_view kMeshTable = "@mesh";

/// What an agent says of itself. By the numbers each side knows how old what it has from the other can be,
/// without comparing clocks: a row is sent behind all data, and returns the last number that had come.
struct AgentRow {
  bool learned = false;  ///< it has all that others could teach it
  std::uint32_t number = 0;
  std::uint32_t echo = 0;  ///< the last number that it had from the receiver
};

/// What an agent knows of an instance.
struct OriginRow {
  bool home = false;          ///< it has a session with it
  bool synchronised = false;  ///< and the instance has told it all that it has
  bool publishes = false;     ///< and it sends the instance its totals
  std::uint32_t generation = 0;
  std::uint64_t process = 0;  ///< as `store::Origin::process`

  bool operator==(const OriginRow&) const = default;
};

/// Rows have four numbers, of type gpt(4).
using MeshCells = std::array<std::uint64_t, 4>;

TableDefinition mesh_definition();
MeshCells encode_row(const AgentRow& row);
MeshCells encode_row(const OriginRow& row);
/// Nothing when |cells| are a row of the other kind, or none.
std::optional<AgentRow> decode_agent_row(std::span<const std::uint64_t> cells);
std::optional<OriginRow> decode_origin_row(std::span<const std::uint64_t> cells);

}  // namespace stickmesh::pipeline
