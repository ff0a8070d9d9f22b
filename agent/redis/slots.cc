#include "agent/redis/slots.h"

#include <array>

namespace stickmesh::redis {

namespace {

// CRC-16/XMODEM, of one byte each.
constexpr std::array<std::uint16_t, 256> kTable = [] {
  std::array<std::uint16_t, 256> table{};
  for (std::size_t byte = 0; byte < table.size(); ++byte) {
    auto crc = static_cast<std::uint32_t>(byte << 8U);
    for (int bit = 0; bit < 8; ++bit) crc = (crc << 1U) ^ ((crc & 0x8000U) != 0 ? 0x1021U : 0U);
    table[byte] = static_cast<std::uint16_t>(crc);
  }
  return table;
}();

std::string_view hashed(std::string_view key) {
  const std::size_t open = key.find('{');
  if (open == std::string_view::npos) return key;
  const std::size_t close = key.find('}', open + 1);
  if (close == std::string_view::npos || close == open + 1) return key;
  return key.substr(open + 1, close - open - 1);
}

}  // namespace

std::size_t slot_of(std::string_view key) {
  std::uint32_t crc = 0;
  for (const char c : hashed(key)) {
    const auto byte = static_cast<unsigned char>(c);
    crc = ((crc << 8U) & 0xffffU) ^ kTable[(crc >> 8U) ^ byte];
  }
  return crc % kSlots;
}

}  // namespace stickmesh::redis
