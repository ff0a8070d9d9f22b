#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/base/bytes.h"

namespace stickmesh::spoe {

/// The low four bits of a value's first byte; 10 to 15 are reserved and of unknown length.
enum class DataType : std::uint8_t {
  kNull = 0,
  kBool = 1,
  kInt32 = 2,
  kUint32 = 3,
  kInt64 = 4,
  kUint64 = 5,
  kIpv4 = 6,
  kIpv6 = 7,
  kString = 8,
  kBinary = 9,
};

inline constexpr std::size_t kIpv4Size = 4;
inline constexpr std::size_t kIpv6Size = 16;

/// A typed value (spop.md 2.3). |bytes| is a view, of the frame it was read from or of the caller's memory.
struct Value {
  DataType type = DataType::kNull;
  std::uint64_t number = 0;  ///< integers, as on the wire: 64-bit two's complement; bool: 0 or 1
  Bytes bytes;               ///< strings, binary and addresses, the latter in network order

  static Value null() { return {}; }
  static Value boolean(bool value) { return {DataType::kBool, value ? 1U : 0U, {}}; }
  static Value int64(std::int64_t value) { return {DataType::kInt64, static_cast<std::uint64_t>(value), {}}; }
  static Value uint32(std::uint32_t value) { return {DataType::kUint32, value, {}}; }
  static Value ipv4(std::span<const std::byte, kIpv4Size> address) { return {DataType::kIpv4, 0, address}; }
  static Value ipv6(std::span<const std::byte, kIpv6Size> address) { return {DataType::kIpv6, 0, address}; }
  static Value string(std::string_view text) { return {DataType::kString, 0, as_bytes(text)}; }
  static Value binary(Bytes bytes) { return {DataType::kBinary, 0, bytes}; }

  bool is_integer() const { return type >= DataType::kInt32 && type <= DataType::kUint64; }
  std::int64_t signed_number() const { return static_cast<std::int64_t>(number); }
  std::string_view text() const { return as_text(bytes); }

  bool operator==(const Value& other) const {
    return type == other.type && number == other.number && text() == other.text();
  }
};

// | flags:4 type:4 | bool: nothing, the value is the lowest flag | integers: varint | addresses: 4 or 16
// bytes | string, binary: varint size, bytes |

/// Reads in place of |value|: what was just written field by field is slow to copy as a whole, slower than
/// the reading. Flags that mean nothing for the type are ignored, as HAProxy ignores them. A reserved type
/// fails with kBadMessage.
void read_value(Reader& in, Value& value);
inline Value read_value(Reader& in) {
  Value value;
  read_value(in, value);
  return value;
}

/// Most that `encode_value` writes.
inline std::size_t max_value_size(const Value& value) {
  return 1 + kMaxVarintSize + value.bytes.size();
}
/// Writes to |out| and returns the end. Flags are 0 but for bool: HAProxy takes 0x18 for binary.
std::byte* encode_value(const Value& value, std::byte* out);

/// A name, which has no type byte: | varint size | bytes |.
inline std::string_view read_name(Reader& in) {
  return as_text(in.bytes(in.varint()));
}
std::byte* encode_name(std::string_view name, std::byte* out);

void write_value(const Value& value, Writer& out);
void write_name(std::string_view name, Writer& out);

}  // namespace stickmesh::spoe
