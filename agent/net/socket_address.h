#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "agent/base/bytes.h"
#include "agent/base/result.h"

namespace stickmesh::net {

enum class Family : std::uint8_t { kNone, kIpv4, kIpv6, kUnix, kAbstract };

/// Where a socket listens, connects to, or is connected from. An IPv4 address mapped into IPv6 becomes plain
/// IPv4, so that one rule for addresses holds whichever kind of socket it came in by.
class SocketAddress {
 public:
  SocketAddress() = default;
  SocketAddress(const sockaddr* address, socklen_t size);

  /// "192.0.2.1:10000", "[2001:db8::1]:10000", "*:10000" (any IPv4 address), "/run/x.sock", or "abns@name" as
  /// HAProxy means it: padded with zeros to the full length. Never asks a name server.
  static Result<SocketAddress> parse(std::string_view text);
  /// As `parse`, and "name:port" too. May block in the resolver for seconds: only while the configuration is
  /// read.
  static Result<SocketAddress> resolve(std::string_view text);
  /// The address that |fd| is bound to; kNone if it has none.
  static SocketAddress local(int fd);

  Family family() const;
  bool is_ip() const { return family() == Family::kIpv4 || family() == Family::kIpv6; }
  /// In the form `parse` takes; "unix" for the unnamed end of a UNIX connection. A client chooses the name of
  /// its own end: control characters in it become '?', so that it cannot add lines to a log.
  std::string to_string() const;
  /// The 4 or 16 bytes of an IP address, in network order, for comparing with a CIDR; empty for others.
  Bytes ip() const;
  std::uint16_t port() const;
  /// The path of a UNIX socket, the name of an abstract one; empty for others.
  std::string_view path() const;

  const sockaddr* raw() const { return &storage_.base; }
  socklen_t size() const { return size_; }

  friend bool operator==(const SocketAddress& left, const SocketAddress& right) {
    return left.size_ == right.size_ && std::memcmp(&left.storage_, &right.storage_, left.size_) == 0;
  }

 private:
  union Storage {
    sockaddr_storage any;
    sockaddr base;
    sockaddr_in four;
    sockaddr_in6 six;
    sockaddr_un local;
  };

  Storage storage_{};
  socklen_t size_ = 0;
};

}  // namespace stickmesh::net
