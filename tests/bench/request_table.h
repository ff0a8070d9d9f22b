#pragma once

#include <chrono>

#include "agent/base/table_definition.h"

namespace stickmesh {

/// The table of DESIGN's first benchmark: addresses, with a counter, a request count, a rate and bytes.
inline TableDefinition request_table() {
  TableDefinition definition;
  definition.name = "http";
  definition.key_type = KeyType::kIpv4;
  definition.key_size = 4;
  definition.expire = std::chrono::minutes(10);
  definition.types = {{DataType::kGpc0, 1, {}},
                      {DataType::kHttpReqCnt, 1, {}},
                      {DataType::kHttpReqRate, 1, std::chrono::seconds(10)},
                      {DataType::kBytesInCnt, 1, {}}};
  return definition;
}

}  // namespace stickmesh
