#include "agent/base/data_types.h"

namespace stickmesh {

std::optional<DataType> find_data_type(std::string_view name) {
  for (std::size_t index = 0; index < kDataTypeCount; ++index) {
    if (kDataTypes[index].name == name) return static_cast<DataType>(index);
  }
  return std::nullopt;
}

std::string_view key_type_name(KeyType type) {
  switch (type) {
    case KeyType::kInteger:
      return "integer";
    case KeyType::kIpv4:
      return "ip";
    case KeyType::kIpv6:
      return "ipv6";
    case KeyType::kString:
      return "string";
    case KeyType::kBinary:
      return "binary";
  }
  return "unknown";
}

}  // namespace stickmesh
