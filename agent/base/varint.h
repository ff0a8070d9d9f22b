#pragma once

#include <cstddef>
#include <cstdint>

namespace stickmesh {

/// HAProxy's variable-length integer (doc/peers.txt, "Encoded integer"): a first byte below 240 is the
/// value; from 240 on its low four bits are the lowest, and seven bits follow in each byte, the last of which
/// is below 128. The offsets make every value's encoding unique. Not LEB128.
inline constexpr std::size_t kMaxVarintSize = 10;

/// Writes at most `kMaxVarintSize` bytes to |out| and returns the end.
inline std::byte* encode_varint(std::uint64_t value, std::byte* out) {
  if (value < 240) {
    *out++ = static_cast<std::byte>(value);
    return out;
  }
  *out++ = static_cast<std::byte>(value | 240U);
  value = (value - 240) >> 4U;
  while (value >= 128) {
    *out++ = static_cast<std::byte>(value | 128U);
    value = (value - 128) >> 7U;
  }
  *out++ = static_cast<std::byte>(value);
  return out;
}

inline std::size_t varint_size(std::uint64_t value) {
  std::byte scratch[kMaxVarintSize];
  return static_cast<std::size_t>(encode_varint(value, scratch) - scratch);
}

enum class VarintStatus : std::uint8_t { kOk, kTruncated, kOverflow };

/// Reads one integer of [|in|, |end|), advancing |in| past it only when the status is kOk.
inline VarintStatus decode_varint(const std::byte*& in, const std::byte* end, std::uint64_t& value) {
  const std::byte* at = in;
  if (at == end) return VarintStatus::kTruncated;
  std::uint64_t result = std::to_integer<std::uint64_t>(*at++);
  if (result >= 240) {
    for (unsigned shift = 4;; shift += 7) {
      if (at == end) return VarintStatus::kTruncated;
      const std::uint64_t byte = std::to_integer<std::uint64_t>(*at++);
      if (shift > 60 || (shift == 60 && byte > 0x0f)) return VarintStatus::kOverflow;
      const std::uint64_t sum = result + (byte << shift);
      if (sum < result) return VarintStatus::kOverflow;
      result = sum;
      if (byte < 128) break;
    }
  }
  in = at;
  value = result;
  return VarintStatus::kOk;
}

}  // namespace stickmesh
