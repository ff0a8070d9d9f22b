#include "agent/store/layout.h"

#include <fmt/format.h>

namespace stickmesh::store {

Layout::Layout(const std::vector<StoredType>& types, const Merges& merges) {
  for (const StoredType& stored : types) {
    const DataTypeTraits& type = traits(stored.type);
    const Merge merge = merges[static_cast<std::size_t>(stored.type)];
    Column column{stored.type, type.kind,  stored.elements, stored.period, value_words_,
                  1,           sum_words_, merge,           false,         false};
    column.changes = merge == Merge::kLastChange;
    column.summed =
        merge == Merge::kSum && (type.kind == ValueKind::kUnsigned32 || type.kind == ValueKind::kUnsigned64);
    switch (type.kind) {
      case ValueKind::kSigned32:
      case ValueKind::kUnsigned32:
      case ValueKind::kDictionary:
        column.stride = column.changes ? 3 : 1;
        break;
      case ValueKind::kUnsigned64:
        column.stride = column.changes ? 4 : 2;
        break;
      case ValueKind::kRate:
        column.stride = 4;
        break;
    }
    value_words_ += column.stride * column.elements;
    if (column.summed) sum_words_ += (type.kind == ValueKind::kUnsigned64 ? 4 : 2) * column.elements;
    columns_.push_back(column);
  }
}

const Column* Layout::find(DataType type) const {
  for (const Column& column : columns_) {
    if (column.type == type) return &column;
  }
  return nullptr;
}

Plan make_plan(const TableDefinition& sender, const Layout& layout) {
  Plan plan;
  std::uint32_t cell = 0;
  std::uint32_t change = 0;
  for (const StoredType& stored : sender.types) {
    const bool rate = traits(stored.type).kind == ValueKind::kRate;
    plan.types |= 1U << static_cast<unsigned>(stored.type);
    for (std::uint32_t index = 0; index < layout.columns().size(); ++index) {
      if (layout.columns()[index].type == stored.type) plan.steps.push_back({cell, index, change});
    }
    cell += stored.elements * (rate ? 3 : 1);
    change += rate ? 0 : stored.elements;
  }
  return plan;
}

std::optional<std::string> mismatch(const TableDefinition& standing, const TableDefinition& other) {
  if (standing.key_type != other.key_type) {
    return fmt::format("key type {} where {} stands", key_type_name(other.key_type),
                       key_type_name(standing.key_type));
  }
  if (standing.key_size != other.key_size) {
    return fmt::format("key size {} where {} stands", other.key_size, standing.key_size);
  }
  for (const StoredType& stored : other.types) {
    const StoredType* ours = standing.find(stored.type);
    if (ours == nullptr) continue;
    const std::string_view name = traits(stored.type).name;
    if (ours->period != stored.period) {
      return fmt::format("{} has the period {} where {} stands", name, describe(stored.period),
                         describe(ours->period));
    }
    if (ours->elements != stored.elements) {
      return fmt::format("{} has {} elements where {} stand", name, stored.elements, ours->elements);
    }
  }
  return std::nullopt;
}

}  // namespace stickmesh::store
