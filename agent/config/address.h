#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "agent/config/units.h"

namespace stickmesh::config {

/// Where to listen or connect, as written: "host:port", "[v6]:port", "abns@name" or an absolute path. Names
/// are not resolved here.
struct Address {
  enum class Kind : std::uint8_t {
    kTcp,
    kUnix,
    kAbstract,  ///< Linux's abstract namespace; HAProxy pads the name to the end of `sun_path` with NULs
  };
  Kind kind = Kind::kTcp;
  std::string host;  ///< a name, or a literal address without brackets; the path or name of a UNIX socket
  std::uint16_t port = 0;

  bool operator==(const Address&) const = default;
};

Parsed<Address> parse_address(std::string_view text);
/// As it was written.
std::string to_string(const Address& address);
/// Whether |address| can be used without asking a name server.
bool is_literal(const Address& address);
bool is_socket_path(std::string_view text);

/// A network, "192.0.2.0/24" or "2001:db8::/32"; an address alone is a network of one.
class Cidr {
 public:
  static Parsed<Cidr> parse(std::string_view text);

  /// |address|: 4 or 16 bytes in network order. An IPv4 address mapped into IPv6 (::ffff:a.b.c.d), which is
  /// what a listener on [::] sees, is taken as IPv4.
  bool contains(std::span<const std::byte> address) const;
  /// The same for the text of an address; false when it is none.
  bool contains(std::string_view literal) const;

  bool operator==(const Cidr&) const = default;
  friend std::string to_string(const Cidr& cidr);

 private:
  std::array<std::byte, 16> network_{};
  std::uint8_t size_ = 4;  ///< bytes of an address: 4 or 16
  std::uint8_t prefix_ = 0;
};

std::string to_string(const Cidr& cidr);

}  // namespace stickmesh::config
