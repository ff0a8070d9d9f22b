#include "spoe/events/values.h"

#include <limits>

namespace stickmesh::spoe {

namespace {

/// Of server_key in the peers protocol.
constexpr std::size_t kMaxText = 255;

tl::unexpected<std::string_view> wrong(std::string_view why) {
  return tl::unexpected<std::string_view>(why);
}

bool in_range(std::int64_t number, ValueKind kind) {
  switch (kind) {
    case ValueKind::kSigned32:
      return number >= std::numeric_limits<std::int32_t>::min() &&
             number <= std::numeric_limits<std::int32_t>::max();
    case ValueKind::kUnsigned32:
    case ValueKind::kRate:
      return number >= 0 && number <= std::numeric_limits<std::uint32_t>::max();
    case ValueKind::kUnsigned64:
      return number >= 0;
    case ValueKind::kDictionary:
      break;
  }
  return false;
}

}  // namespace

Written counted_value(const Value& value, const TableView& view, const Field& field) {
  const store::Column& column = view.column(field);
  const Merge merge = traits(column.type).merge;
  if (merge == Merge::kPresentSum) return wrong("events cannot tell how many connections are open");
  if (merge != Merge::kSum && merge != Merge::kRate) return wrong("it is no counter: use set");
  if (!value.is_integer() && value.type != DataType::kBool) return wrong("it is no number");
  if (value.signed_number() < 0) return wrong("it is below 0");
  return pipeline::OwnValue{field.column, field.element, pipeline::OwnValue::How::kAdd, value.number};
}

Written written_value(const Value& value, const TableView& view, const Field& field) {
  pipeline::OwnValue written{field.column, field.element, pipeline::OwnValue::How::kSet};
  const ValueKind kind = view.column(field).kind;
  if (kind == ValueKind::kDictionary) {
    if (value.type != DataType::kString) return wrong("it is no string");
    written.text = value.text();
    if (written.text.size() > kMaxText) return wrong("it is longer than 255 bytes");
    if (written.text.find('\0') != std::string_view::npos) return wrong("it has a NUL");
    return written;
  }
  if (!value.is_integer() && value.type != DataType::kBool) return wrong("it is no number");
  if (!in_range(value.signed_number(), kind)) return wrong("it is outside what the type can hold");
  written.number = value.number;
  return written;
}

}  // namespace stickmesh::spoe
