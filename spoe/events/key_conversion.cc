#include "spoe/events/key_conversion.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>

namespace stickmesh::spoe {

namespace {

using Ipv4 = std::array<std::byte, kIpv4Size>;
using Ipv6 = std::array<std::byte, kIpv6Size>;

constexpr std::string_view kNoNumber = "no integer can be made of it";
constexpr std::string_view kNoIpv4 = "it is no IPv4 address";
constexpr std::string_view kNoIpv6 = "it is no IPv6 address";
constexpr std::string_view kNoAddressOfBoolean = "a boolean is no address";

bool is_integer(const Value& value) {
  return value.is_integer() || value.type == DataType::kBool;
}

void append(std::vector<std::byte>& out, Bytes bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

std::array<std::byte, 8> big_endian(std::uint64_t number) {
  std::array<std::byte, 8> bytes{};
  for (std::size_t index = 0; index < bytes.size(); ++index) {
    bytes[index] = static_cast<std::byte>(number >> (56 - 8 * index));
  }
  return bytes;
}

// A table keeps the lower half of HAProxy's integers.
Bytes lower_half(const std::array<std::byte, 8>& number) {
  return Bytes(number).last(4);
}

// A sign and the digits that follow it; whatever is behind them is left alone, and no digits are 0.
std::optional<std::uint64_t> parse_integer(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const bool negative = text.front() == '-';
  if (negative || text.front() == '+') text.remove_prefix(1);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::result_out_of_range) number = std::numeric_limits<std::uint64_t>::max();
  constexpr std::uint64_t kLargest = std::numeric_limits<std::int64_t>::max();
  if (negative) return number > kLargest ? kLargest + 1 : ~number + 1;
  return std::min(number, kLargest);
}

// Four numbers with dots between them; the address ends at the first other character.
std::optional<Ipv4> parse_ipv4(std::string_view text) {
  Ipv4 address{};
  for (std::size_t index = 0; index < address.size(); ++index) {
    if (index > 0) {
      if (text.empty() || text.front() != '.') return std::nullopt;
      text.remove_prefix(1);
    }
    std::uint8_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) return std::nullopt;
    address[index] = static_cast<std::byte>(number);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  }
  if (!text.empty() && text.front() == '.') return std::nullopt;
  return address;
}

std::optional<Ipv6> parse_ipv6(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN + 1> terminated{};
  if (text.size() > INET6_ADDRSTRLEN) return std::nullopt;
  std::copy(text.begin(), text.end(), terminated.begin());
  Ipv6 address{};
  if (::inet_pton(AF_INET6, terminated.data(), address.data()) != 1) return std::nullopt;
  return address;
}

constexpr Ipv6 kMapped = {std::byte{0}, std::byte{0}, std::byte{0},    std::byte{0},
                          std::byte{0}, std::byte{0}, std::byte{0},    std::byte{0},
                          std::byte{0}, std::byte{0}, std::byte{0xff}, std::byte{0xff}};

Ipv6 mapped(Bytes ipv4) {
  Ipv6 address = kMapped;
  std::copy(ipv4.begin(), ipv4.end(), address.begin() + 12);
  return address;
}

// Of ::ffff:a.b.c.d, ::a.b.c.d and 6to4 addresses.
Bytes embedded_ipv4(Bytes ipv6) {
  const auto starts_as = [&](const Ipv6& with) {
    return std::equal(with.begin(), with.begin() + 12, ipv6.begin());
  };
  if (starts_as(kMapped) || starts_as({})) return ipv6.last(4);
  if (ipv6[0] == std::byte{0x20} && ipv6[1] == std::byte{0x02}) return ipv6.subspan(2, 4);
  return {};
}

std::string_view append_integer(const Value& value, std::vector<std::byte>& out) {
  if (is_integer(value)) {
    append(out, lower_half(big_endian(value.number)));
  } else if (value.type == DataType::kIpv4) {
    append(out, value.bytes);
  } else {
    const auto number = value.type == DataType::kString ? parse_integer(value.text()) : std::nullopt;
    if (!number) return kNoNumber;
    append(out, lower_half(big_endian(*number)));
  }
  return {};
}

std::string_view append_ipv4(const Value& value, std::vector<std::byte>& out) {
  if (value.type == DataType::kBool) return kNoAddressOfBoolean;
  if (value.type == DataType::kIpv4) {
    append(out, value.bytes);
  } else if (value.is_integer()) {
    append(out, lower_half(big_endian(value.number)));
  } else if (value.type == DataType::kIpv6) {
    const Bytes address = embedded_ipv4(value.bytes);
    if (address.empty()) return kNoIpv4;
    append(out, address);
  } else {
    const auto address = value.type == DataType::kString ? parse_ipv4(value.text()) : std::nullopt;
    if (!address) return kNoIpv4;
    append(out, *address);
  }
  return {};
}

std::string_view append_ipv6(const Value& value, std::vector<std::byte>& out) {
  if (value.type == DataType::kBool) return kNoAddressOfBoolean;
  if (value.type == DataType::kIpv6) {
    append(out, value.bytes);
  } else if (value.type == DataType::kIpv4) {
    append(out, mapped(value.bytes));
  } else if (value.is_integer()) {
    append(out, mapped(lower_half(big_endian(value.number))));
  } else {
    const auto address = value.type == DataType::kString ? parse_ipv6(value.text()) : std::nullopt;
    if (!address) return kNoIpv6;
    append(out, *address);
  }
  return {};
}

// Strings end at their first NUL, and are cut to what the table has room for, without its final NUL.
void append_string(const Value& value, std::size_t key_size, std::vector<std::byte>& out) {
  std::array<char, INET6_ADDRSTRLEN + 1> room{};
  std::string_view text = value.text();
  if (is_integer(value)) {
    const auto [end, error] = std::to_chars(room.data(), room.data() + room.size(), value.signed_number());
    text = {room.data(), static_cast<std::size_t>(end - room.data())};
  } else if (value.type == DataType::kIpv4 || value.type == DataType::kIpv6) {
    const int family = value.type == DataType::kIpv4 ? AF_INET : AF_INET6;
    text = ::inet_ntop(family, value.bytes.data(), room.data(), static_cast<socklen_t>(room.size()));
  }
  text = text.substr(0, text.find('\0'));
  append(out, as_bytes(text.substr(0, key_size - 1)));
}

void append_binary(const Value& value, std::size_t key_size, std::vector<std::byte>& out) {
  const auto number = big_endian(value.number);
  const Bytes bytes = is_integer(value) ? Bytes(number) : value.bytes;
  append(out, bytes.first(std::min(bytes.size(), key_size)));
  out.resize(out.size() + key_size - std::min(bytes.size(), key_size));
}

}  // namespace

std::string_view append_key(const TableDefinition& definition, const Value& value,
                            std::vector<std::byte>& out) {
  switch (definition.key_type) {
    case KeyType::kInteger:
      return append_integer(value, out);
    case KeyType::kIpv4:
      return append_ipv4(value, out);
    case KeyType::kIpv6:
      return append_ipv6(value, out);
    case KeyType::kString:
      append_string(value, definition.key_size, out);
      return {};
    case KeyType::kBinary:
      append_binary(value, definition.key_size, out);
      return {};
  }
  return "this table's keys cannot be written";
}

}  // namespace stickmesh::spoe
