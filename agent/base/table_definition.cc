#include "agent/base/table_definition.h"

#include <fmt/format.h>

namespace stickmesh {

const StoredType* TableDefinition::find(DataType type) const {
  for (const StoredType& stored : types) {
    if (stored.type == type) return &stored;
  }
  return nullptr;
}

std::string_view canonical_name(std::string_view wire_name) {
  if (!wire_name.empty() && wire_name.front() == '/') wire_name.remove_prefix(1);
  return wire_name;
}

std::string describe(Duration time) {
  const auto ms = time.count();
  if (ms != 0 && ms % 86'400'000 == 0) return fmt::format("{}d", ms / 86'400'000);
  if (ms != 0 && ms % 3'600'000 == 0) return fmt::format("{}h", ms / 3'600'000);
  if (ms != 0 && ms % 60'000 == 0) return fmt::format("{}m", ms / 60'000);
  if (ms % 1000 == 0) return fmt::format("{}s", ms / 1000);
  return fmt::format("{}ms", ms);
}

std::string describe(const TableDefinition& definition) {
  std::string text = fmt::format("type {}", key_type_name(definition.key_type));
  if (definition.key_type == KeyType::kString) text += fmt::format(" len {}", definition.key_size - 1);
  if (definition.key_type == KeyType::kBinary) text += fmt::format(" len {}", definition.key_size);
  if (definition.expire.count() != 0) text += fmt::format(" expire {}", describe(definition.expire));
  std::string_view separator = " store ";
  for (const StoredType& stored : definition.types) {
    text.append(separator).append(traits(stored.type).name);
    separator = ",";
    const bool rate = traits(stored.type).kind == ValueKind::kRate;
    if (traits(stored.type).array && rate) {
      text += fmt::format("({},{})", stored.elements, describe(stored.period));
    } else if (traits(stored.type).array) {
      text += fmt::format("({})", stored.elements);
    } else if (rate) {
      text += fmt::format("({})", describe(stored.period));
    }
  }
  return text;
}

}  // namespace stickmesh
