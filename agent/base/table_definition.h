#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/data_types.h"
#include "agent/base/time.h"

namespace stickmesh {

/// One stored data type of a table. |period| is 0 but for rates; |elements| is 1 but for arrays.
struct StoredType {
  DataType type;
  std::uint32_t elements = 1;
  Duration period{0};

  bool operator==(const StoredType&) const = default;
};

/// What a stick table is: key, life time, data types in ascending order.
struct TableDefinition {
  std::string name;  ///< as on the wire: with a leading slash when declared in a peers section
  KeyType key_type = KeyType::kString;
  /// Bytes of a key: 4 for integer and ip, 16 for ipv6; for strings one more than the longest string.
  std::uint32_t key_size = 32;
  Duration expire{0};  ///< 0: entries never expire
  std::vector<StoredType> types;
  /// Between agents: each update ends with its contribution's version.
  bool versioned = false;

  bool operator==(const TableDefinition&) const = default;
  const StoredType* find(DataType type) const;
};

/// The table's name as the config and the commands write it: a leading slash dropped.
std::string_view canonical_name(std::string_view wire_name);

/// The definition in haproxy.cfg's words: "type string len 64 expire 10m store gpc0,http_req_rate(10s)".
std::string describe(const TableDefinition& definition);

/// A time as haproxy.cfg writes it, in the largest unit that is exact: "10s", "1500ms", "2h".
std::string describe(Duration time);

}  // namespace stickmesh
