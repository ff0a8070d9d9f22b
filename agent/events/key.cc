#include "agent/events/key.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "spoe/events/key_conversion.h"
#include "spoe/wire/typed_data.h"

namespace stickmesh::events {

std::string_view append_key(const TableDefinition& definition, std::string_view key,
                            std::vector<std::byte>& out) {
  using spoe::Value;
  if (definition.key_type == KeyType::kBinary)
    return spoe::append_key(definition, Value::binary(as_bytes(key)), out);
  if (definition.key_type != KeyType::kIpv4 && definition.key_type != KeyType::kIpv6) {
    // A string ends at its first NUL.
    if (key.empty() || key.front() == '\0') return "it is empty";
    return spoe::append_key(definition, Value::string(key), out);
  }
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (key.size() < terminated.size() && key.find('\0') == std::string_view::npos)
    std::copy(key.begin(), key.end(), terminated.begin());
  std::array<std::byte, spoe::kIpv4Size> ipv4{};
  std::array<std::byte, spoe::kIpv6Size> ipv6{};
  if (::inet_pton(AF_INET, terminated.data(), ipv4.data()) == 1) {
    return spoe::append_key(definition, Value::ipv4(ipv4), out);
  }
  if (::inet_pton(AF_INET6, terminated.data(), ipv6.data()) == 1) {
    return spoe::append_key(definition, Value::ipv6(ipv6), out);
  }
  return "it is no address";
}

}  // namespace stickmesh::events
