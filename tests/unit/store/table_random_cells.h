#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "agent/base/table_definition.h"
#include "tests/unit/store/table_fixture.h"

namespace stickmesh::store {

/// What the origins of a random run store; those later in the list bring types that the table learns by
/// extension.
inline std::vector<TableDefinition> origin_definitions(Duration expire) {
  const StoredType request_rate{DataType::kHttpReqRate, 1, std::chrono::seconds(10)};
  return {
      definition_of({{DataType::kGpc0}, request_rate, {DataType::kBytesInCnt}}, expire),
      definition_of({{DataType::kGpt0}, {DataType::kGpc0}, {DataType::kServerKey}}, expire),
      definition_of({{DataType::kConnCur}, request_rate, {DataType::kGpt, 2}, {DataType::kGpc, 3}}, expire),
      definition_of({{DataType::kServerId},
                     {DataType::kGpc0},
                     {DataType::kBytesInCnt},
                     {DataType::kBytesOutCnt},
                     {DataType::kServerKey},
                     {DataType::kGpcRate, 2, std::chrono::seconds(1)}},
                    expire),
  };
}

/// Often 0, sometimes next to the largest, so that sums carry and values repeat.
inline std::uint64_t random_number(std::mt19937& random, ValueKind kind) {
  const std::uint64_t top = kind == ValueKind::kUnsigned64 ? ~std::uint64_t{0} : 0xffffffffU;
  const std::uint64_t choice = random() % 6;
  const std::uint64_t value = choice < 2 ? 0 : choice == 2 ? top - random() % 3 : random() % 1000;
  if (kind != ValueKind::kSigned32) return value;
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int32_t>(value)));
}

/// The cells of an update, as a sender of that definition would fill them.
inline std::vector<std::uint64_t> random_cells(std::mt19937& random, const TableDefinition& definition) {
  std::vector<std::uint64_t> made;
  for (const StoredType& stored : definition.types) {
    for (std::uint32_t element = 0; element < stored.elements; ++element) {
      const ValueKind kind = traits(stored.type).kind;
      if (kind == ValueKind::kRate) {
        made.push_back(random() % static_cast<std::uint64_t>(stored.period.count() * 5 / 2));
        made.push_back(random() % 3 == 0 ? 0 : random() % 5);
        made.push_back(random() % 3 == 0 ? 0 : random() % 5);
      } else {
        made.push_back(kind == ValueKind::kDictionary ? random() % 3 : random_number(random, kind));
      }
    }
  }
  return made;
}

}  // namespace stickmesh::store
