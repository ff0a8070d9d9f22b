#include "agent/net/socket_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <memory>
#include <optional>

namespace stickmesh::net {

namespace {

constexpr std::string_view kAbstractPrefix = "abns@";
constexpr std::size_t kPathOffset = offsetof(sockaddr_un, sun_path);
constexpr std::size_t kPathSize = sizeof(sockaddr_un::sun_path);

template <typename Address>
SocketAddress wrap(const Address& address, std::size_t size = sizeof(Address)) {
  return {reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(size)};
}

tl::unexpected<Error> not_an_address(std::string_view text, std::string_view why) {
  return refuse(Reason::kValueOutOfRange, fmt::format("'{}' is not an address ({}): write 192.0.2.1:10000, "
                                                      "[2001:db8::1]:10000, abns@name or an absolute path",
                                                      text, why));
}

Result<SocketAddress> unix_address(std::string_view text, std::string_view path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= kPathSize)
    return not_an_address(text, fmt::format("longer than {} bytes", kPathSize - 1));
  if (path.find('\0') != std::string_view::npos) return not_an_address(text, "it contains a zero byte");
  path.copy(address.sun_path, path.size());
  return wrap(address, kPathOffset + path.size() + 1);
}

Result<SocketAddress> abstract_address(std::string_view text, std::string_view name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.empty()) return not_an_address(text, "the name is missing");
  if (name.size() >= kPathSize)
    return not_an_address(text, fmt::format("longer than {} bytes", kPathSize - 1));
  name.copy(address.sun_path + 1, name.size());
  return wrap(address);
}

struct HostPort {
  std::string host;  ///< without brackets
  std::uint16_t port = 0;
  bool bracketed = false;
};

Result<HostPort> split(std::string_view text) {
  HostPort parts;
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return not_an_address(text, "the port is missing");
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), parts.port);
  if (error != std::errc{} || end != port.data() + port.size()) {
    return not_an_address(text, "the port is not a number up to 65535");
  }
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    parts.bracketed = true;
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return not_an_address(text, "an IPv6 address needs brackets");
  }
  if (host.empty()) return not_an_address(text, "the host is missing");
  parts.host = host;
  return parts;
}

using AddressList = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

AddressList look_up(const HostPort& parts, int family, int flags, int& status) {
  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  status = ::getaddrinfo(parts.host.c_str(), std::to_string(parts.port).c_str(), &hints, &found);
  return {status == 0 ? found : nullptr, &::freeaddrinfo};
}

std::string printable(std::string_view name) {
  std::string text(name);
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = '?';
  }
  return text;
}

// The literal's address; nothing when it is none and may be a name.
std::optional<SocketAddress> literal(const HostPort& parts) {
  if (parts.bracketed) {
    int status = 0;  // by the resolver's own parser, because it knows scopes such as fe80::1%eth0
    const AddressList found = look_up(parts, AF_INET6, AI_NUMERICHOST, status);
    if (!found) return std::nullopt;
    return SocketAddress(found->ai_addr, found->ai_addrlen);
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(parts.port);
  const bool any = parts.host == "*";
  if (!any && ::inet_pton(AF_INET, parts.host.c_str(), &address.sin_addr) != 1) return std::nullopt;
  return wrap(address);
}

}  // namespace

SocketAddress::SocketAddress(const sockaddr* address, socklen_t size)
    : size_(std::min<socklen_t>(size, sizeof storage_)) {
  std::memcpy(&storage_, address, size_);
  if (storage_.any.ss_family != AF_INET6) return;
  const sockaddr_in6 six = storage_.six;
  if (!IN6_IS_ADDR_V4MAPPED(&six.sin6_addr)) return;
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = six.sin6_port;
  std::memcpy(&four.sin_addr, &six.sin6_addr.s6_addr[12], sizeof four.sin_addr);
  storage_ = {};
  storage_.four = four;
  size_ = sizeof four;
}

Result<SocketAddress> SocketAddress::parse(std::string_view text) {
  if (text.starts_with('/')) return unix_address(text, text);
  if (text.starts_with(kAbstractPrefix)) return abstract_address(text, text.substr(kAbstractPrefix.size()));
  const Result<HostPort> parts = split(text);
  if (!parts) return tl::unexpected(parts.error());
  if (const std::optional<SocketAddress> address = literal(*parts)) return *address;
  return not_an_address(text, parts->bracketed ? "no IPv6 address in the brackets" : "no IP address");
}

Result<SocketAddress> SocketAddress::resolve(std::string_view text) {
  if (text.starts_with('/') || text.starts_with(kAbstractPrefix)) return parse(text);
  const Result<HostPort> parts = split(text);
  if (!parts) return tl::unexpected(parts.error());
  if (parts->bracketed || literal(*parts)) return parse(text);
  int status = 0;
  const AddressList found = look_up(*parts, AF_UNSPEC, AI_ADDRCONFIG, status);
  if (!found) {
    return refuse(Reason::kNotFound,
                  fmt::format("cannot resolve '{}': {}: mend the name, or write its address", parts->host,
                              ::gai_strerror(status)));
  }
  return SocketAddress(found->ai_addr, found->ai_addrlen);
}

SocketAddress SocketAddress::local(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  return wrap(storage, size);
}

Family SocketAddress::family() const {
  if (size_ == 0) return Family::kNone;
  switch (storage_.any.ss_family) {
    case AF_INET:
      return Family::kIpv4;
    case AF_INET6:
      return Family::kIpv6;
    case AF_UNIX: {
      const bool abstract = size_ > kPathOffset && storage_.local.sun_path[0] == '\0';
      return abstract ? Family::kAbstract : Family::kUnix;
    }
    default:
      return Family::kNone;
  }
}

std::string SocketAddress::to_string() const {
  switch (family()) {
    case Family::kIpv4:
    case Family::kIpv6: {
      char host[NI_MAXHOST] = {};  // getnameinfo, for the scope of link-local addresses
      ::getnameinfo(raw(), size_, host, sizeof host, nullptr, 0, NI_NUMERICHOST);
      return family() == Family::kIpv4 ? fmt::format("{}:{}", host, port())
                                       : fmt::format("[{}]:{}", host, port());
    }
    case Family::kUnix:
      return path().empty() ? "unix" : printable(path());
    case Family::kAbstract:
      return fmt::format("{}{}", kAbstractPrefix, printable(path()));
    case Family::kNone:
      break;
  }
  return "none";
}

Bytes SocketAddress::ip() const {
  switch (family()) {
    case Family::kIpv4:
      return std::as_bytes(std::span(&storage_.four.sin_addr, 1));
    case Family::kIpv6:
      return std::as_bytes(std::span(&storage_.six.sin6_addr, 1));
    default:
      return {};
  }
}

std::uint16_t SocketAddress::port() const {
  switch (family()) {
    case Family::kIpv4:
      return ntohs(storage_.four.sin_port);
    case Family::kIpv6:
      return ntohs(storage_.six.sin6_port);
    default:
      return 0;
  }
}

std::string_view SocketAddress::path() const {
  const Family kind = family();
  if ((kind != Family::kUnix && kind != Family::kAbstract) || size_ <= kPathOffset) return {};
  const char* const bytes = storage_.local.sun_path;
  const std::string_view text(bytes, size_ - kPathOffset);
  // The path may or may not count its final zero; a name is padded with zeros by HAProxy and not by others.
  if (kind == Family::kUnix) return text.substr(0, text.find('\0'));
  const std::size_t last = text.find_last_not_of('\0');
  return last == std::string_view::npos ? std::string_view() : text.substr(1, last);
}

}  // namespace stickmesh::net
