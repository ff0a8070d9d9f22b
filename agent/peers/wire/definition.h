#pragma once

#include <cstddef>
#include <cstdint>

#include "agent/base/bytes.h"
#include "agent/base/result.h"
#include "agent/base/table_definition.h"

namespace stickmesh::peers {

/// A table's number in the definitions of one side of one connection; never 0 in what we send.
using TableId = std::uint32_t;

inline constexpr std::size_t kMaxTableName = 512;
inline constexpr std::uint32_t kMaxKeySize = 16384;
/// The bit of a data type that only agents know, far above HAProxy's: `VersionField`.
inline constexpr unsigned kVersionBit = 48;
/// HAProxy's times are signed 32-bit milliseconds.
inline constexpr std::uint32_t kMaxTime = 0x7fffffff;

struct DefinedTable {
  TableId id = 0;
  TableDefinition definition;

  bool operator==(const DefinedTable&) const = default;
};

// | 0a 82 | length | varint id | varint size, name | varint key type | varint key size | varint types, a bit
// each | | varint expire | for each array or rate: varint type, [varint elements], [varint period] |
void encode_definition(TableId id, const TableDefinition& definition, Writer& out);

/// Types that we do not know come last, in this message and in updates, because their bits are higher: they
/// are left out. Refuses what would make updates undecodable or unusable: numbers, names, sizes and times
/// outside HAProxy's bounds, and an array or a rate without its parameters.
Result<DefinedTable> decode_definition(Bytes body);

/// | 0a 83 | length | varint id |: selects a table that was defined before. HAProxy takes it but never sends
/// it.
void encode_switch(TableId id, Writer& out);
Result<TableId> decode_switch(Bytes body);

}  // namespace stickmesh::peers
