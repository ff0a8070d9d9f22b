#pragma once

#include <cstdint>
#include <string_view>

#include "agent/base/table_definition.h"
#include "agent/config/units.h"

namespace stickmesh::config {

/// A stick table as declared: what goes over the wire, and how many entries it holds.
struct TableWords {
  TableDefinition definition;  ///< without a name
  std::uint64_t size = 0;

  bool operator==(const TableWords&) const = default;
};

/// HAProxy's own words: "type string len 64 size 100k expire 10m store gpc0,gpc0_rate(1m)". Refuses what
/// HAProxy refuses, and what means nothing to an agent (`nopurge`, `peers`, `srvkey`, `write-to`).
Parsed<TableWords> parse_table_words(std::string_view words);

}  // namespace stickmesh::config
