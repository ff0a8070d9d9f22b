#include "agent/config/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>
#include <optional>

#include "agent/config/quote.h"

namespace stickmesh::config {
namespace {

constexpr std::string_view kForms =
    R"(an address is "host:port", "[v6]:port", "abns@name" or an absolute path)";
constexpr std::string_view kAbstractPrefix = "abns@";
constexpr std::size_t kLongestSocketName = sizeof(sockaddr_un::sun_path) - 1;

tl::unexpected<std::string> wrong(std::string_view text, std::string_view why) {
  return tl::unexpected<std::string>(fmt::format("{}: {}", quote(text), why));
}

/// An address' bytes in network order, |size| of them.
struct Literal {
  std::array<std::byte, 16> bytes{};
  std::uint8_t size = 0;
};

std::optional<Literal> parse_literal(std::string_view text) {
  const std::string terminated(text);
  if (terminated.find('\0') != std::string::npos) return std::nullopt;
  Literal literal;
  if (inet_pton(AF_INET, terminated.c_str(), literal.bytes.data()) == 1) {
    literal.size = 4;
    return literal;
  }
  if (inet_pton(AF_INET6, terminated.c_str(), literal.bytes.data()) == 1) {
    literal.size = 16;
    return literal;
  }
  return std::nullopt;
}

std::string literal_text(std::span<const std::byte> bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(bytes.size() == 4 ? AF_INET : AF_INET6, bytes.data(), text.data(), text.size());
  return text.data();
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/// RFC 1123 with the underscores that people use.
bool is_host_name(std::string_view host) {
  if (host.empty() || host.size() > 253) return false;
  std::size_t label = 0;
  for (const char c : host) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
    } else if (is_digit(c) || is_letter(c) || c == '-' || c == '_') {
      if (++label > 63) return false;
    } else {
      return false;
    }
  }
  return true;
}

/// Such a text is meant as an IPv4 address: a name server must not be asked for "10.0.0.300".
bool looks_like_ipv4(std::string_view host) {
  return std::all_of(host.begin(), host.end(), [](char c) { return is_digit(c) || c == '.'; });
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

Parsed<Address> parse_socket_name(std::string_view text) {
  const bool abstract = !is_socket_path(text);
  const std::string_view name = abstract ? text.substr(kAbstractPrefix.size()) : text;
  if (has_control(name)) return wrong(text, "a control character in a socket's name");
  if (name.empty()) return wrong(text, "the socket's name is missing");
  if (name.size() > kLongestSocketName) {
    return wrong(
        text, fmt::format("a socket's name has at most {} bytes, not {}", kLongestSocketName, name.size()));
  }
  if (!abstract && name.back() == '/') return wrong(text, "a directory, not a socket");
  return Address{abstract ? Address::Kind::kAbstract : Address::Kind::kUnix, std::string(name), 0};
}

}  // namespace

bool is_socket_path(std::string_view text) {
  return !text.empty() && text.front() == '/';
}

Parsed<Address> parse_address(std::string_view text) {
  if (text.empty()) return wrong(text, kForms);
  if (is_socket_path(text) || text.substr(0, kAbstractPrefix.size()) == kAbstractPrefix) {
    return parse_socket_name(text);
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong(text, fmt::format("the port is missing; {}", kForms));
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
    const std::optional<Literal> literal = parse_literal(host);
    if (!literal || literal->size != 16)
      return wrong(text, fmt::format("{} is not an IPv6 address", quote(host)));
  } else if (text.front() == '[') {
    return wrong(text, R"(the port is missing; write "[v6]:port")");
  } else if (host.find(':') != std::string_view::npos) {
    return wrong(text, R"(an IPv6 address is written in brackets: "[v6]:port")");
  } else if (host.empty() || host == "*") {
    return wrong(text, R"(the host is missing; all addresses are "0.0.0.0:port" or "[::]:port")");
  } else if (looks_like_ipv4(host)) {
    if (!parse_literal(host)) return wrong(text, fmt::format("{} is not an IPv4 address", quote(host)));
  } else if (!is_host_name(host)) {
    return wrong(text, fmt::format("{} is not a host name; {}", quote(host), kForms));
  }
  const Parsed<std::uint64_t> port = parse_number(text.substr(colon + 1), 65535);
  if (!port || *port == 0) return wrong(text, "the port must be 1 to 65535");
  return Address{Address::Kind::kTcp, std::string(host), static_cast<std::uint16_t>(*port)};
}

std::string to_string(const Address& address) {
  switch (address.kind) {
    case Address::Kind::kUnix:
      return address.host;
    case Address::Kind::kAbstract:
      return std::string(kAbstractPrefix) + address.host;
    case Address::Kind::kTcp:
      break;
  }
  const bool v6 = address.host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", address.host, address.port)
            : fmt::format("{}:{}", address.host, address.port);
}

bool is_literal(const Address& address) {
  return address.kind != Address::Kind::kTcp || parse_literal(address.host).has_value();
}

Parsed<Cidr> Cidr::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::optional<Literal> literal = parse_literal(text.substr(0, slash));
  if (!literal) return wrong(text, R"(a network is written "192.0.2.0/24" or "2001:db8::/32")");
  Cidr cidr;
  cidr.size_ = literal->size;
  cidr.network_ = literal->bytes;
  const std::uint64_t longest = literal->size * std::uint64_t{8};
  Parsed<std::uint64_t> prefix = longest;
  if (slash != std::string_view::npos) prefix = parse_number(text.substr(slash + 1), longest);
  if (!prefix) return wrong(text, fmt::format("the part after / must be 0 to {}", longest));
  cidr.prefix_ = static_cast<std::uint8_t>(*prefix);
  for (std::size_t bit = cidr.prefix_; bit < longest; ++bit) {
    cidr.network_[bit / 8] &= ~(std::byte{0x80} >> (bit % 8));
  }
  if (cidr.network_ != literal->bytes) {
    return wrong(text, fmt::format("has bits set beyond its prefix; write \"{}\"", to_string(cidr)));
  }
  return cidr;
}

bool Cidr::contains(std::span<const std::byte> address) const {
  constexpr std::array<std::byte, 12> kMapped = {
      std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0},    std::byte{0},
      std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0xff}, std::byte{0xff}};
  const bool mapped = address.size() == 16 && std::equal(kMapped.begin(), kMapped.end(), address.begin());
  if (mapped && size_ == 4) address = address.subspan(kMapped.size());
  if (address.size() != size_) return false;
  for (std::size_t bit = 0; bit < prefix_; ++bit) {
    const std::byte mask = std::byte{0x80} >> (bit % 8);
    if ((address[bit / 8] & mask) != (network_[bit / 8] & mask)) return false;
  }
  return true;
}

bool Cidr::contains(std::string_view literal) const {
  const std::optional<Literal> address = parse_literal(literal);
  return address && contains(std::span(address->bytes).first(address->size));
}

std::string to_string(const Cidr& cidr) {
  return fmt::format("{}/{}", literal_text(std::span(cidr.network_).first(cidr.size_)), cidr.prefix_);
}

}  // namespace stickmesh::config
