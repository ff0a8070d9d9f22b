#include "spoe/wire/typed_data.h"

#include <cstring>

namespace stickmesh::spoe {

namespace {

constexpr std::uint8_t kTypeMask = 0x0f;
constexpr std::uint8_t kTrue = 0x10;

std::byte* copy(Bytes bytes, std::byte* out) {
  // memcpy must not be given the null pointer of an empty view.
  if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
  return out + bytes.size();
}

std::byte* encode_sized(Bytes bytes, std::byte* out) {
  return copy(bytes, encode_varint(bytes.size(), out));
}

}  // namespace

void read_value(Reader& in, Value& value) {
  const std::uint8_t first = in.u8();
  value.number = 0;
  value.bytes = {};
  value.type = static_cast<DataType>(first & kTypeMask);
  switch (value.type) {
    case DataType::kNull:
      break;
    case DataType::kBool:
      value.number = (first & kTrue) != 0 ? 1U : 0U;
      break;
    case DataType::kInt32:
    case DataType::kUint32:
    case DataType::kInt64:
    case DataType::kUint64:
      value.number = in.varint();
      break;
    case DataType::kIpv4:
      value.bytes = in.bytes(kIpv4Size);
      break;
    case DataType::kIpv6:
      value.bytes = in.bytes(kIpv6Size);
      break;
    case DataType::kString:
    case DataType::kBinary:
      value.bytes = in.bytes(in.varint());
      break;
    default:
      in.fail(Reason::kBadMessage);
      value.type = DataType::kNull;
  }
}

std::byte* encode_value(const Value& value, std::byte* out) {
  std::uint8_t first = static_cast<std::uint8_t>(value.type);
  if (value.type == DataType::kBool && value.number != 0) first |= kTrue;
  *out++ = static_cast<std::byte>(first);
  if (value.is_integer()) return encode_varint(value.number, out);
  if (value.type == DataType::kString || value.type == DataType::kBinary) {
    return encode_sized(value.bytes, out);
  }
  if (value.type == DataType::kIpv4 || value.type == DataType::kIpv6) return copy(value.bytes, out);
  return out;
}

std::byte* encode_name(std::string_view name, std::byte* out) {
  return encode_sized(as_bytes(name), out);
}

void write_value(const Value& value, Writer& out) {
  // Everything but the bytes fits in a few: those are not copied twice.
  std::byte head[1 + kMaxVarintSize];
  const bool sized = value.type == DataType::kString || value.type == DataType::kBinary;
  const std::byte* end = encode_value({value.type, value.number, {}}, head);
  if (sized) end = encode_varint(value.bytes.size(), head + 1);
  out.bytes({head, static_cast<std::size_t>(end - head)});
  out.bytes(value.bytes);
}

void write_name(std::string_view name, Writer& out) {
  out.varint(name.size());
  out.bytes(as_bytes(name));
}

}  // namespace stickmesh::spoe
