#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/base/result.h"

namespace stickmesh::peers {

/// Longest line of a hello that is waited for, and longest name in it.
inline constexpr std::size_t kMaxHelloLine = 512;
inline constexpr std::size_t kMaxPeerName = 255;
/// More than this is never needed to parse a hello or a status.
inline constexpr std::size_t kMaxHelloSize = 3 * (kMaxHelloLine + 1);

inline constexpr int kStatusAccepted = 200;

/// What the dialling side says of itself (peers-protocol 1.3).
struct Hello {
  unsigned minor = 1;     ///< 2.|minor| is spoken
  std::string to;         ///< the name by which it calls us
  std::string from;       ///< its own name
  std::uint64_t pid = 0;  ///< 0 where it gave none that is a number

  bool operator==(const Hello&) const = default;
};

struct ParsedHello {
  Hello hello;
  std::size_t size;  ///< bytes of the hello; what follows are messages
};

struct ParsedStatus {
  int status;
  std::size_t size;
};

/// "HAProxyS 2.<minor> LF <to> LF <from> SP <pid> SP 1 LF". HAProxy needs all three lines in one segment.
std::string encode_hello(const Hello& hello);
/// Parses the hello at the start of |text|, which is all that has come so far. Nothing while a line is
/// incomplete; a bad line is refused as soon as it is complete. A CR before LF is accepted. Versions 2.0
/// and 2.1 only.
Result<std::optional<ParsedHello>> parse_hello(std::string_view text);

/// "NNN LF".
std::string encode_status(int status);
/// Parses a status line in the same way; anything but one to three digits is refused.
Result<std::optional<ParsedStatus>> parse_status(std::string_view text);
/// What the operator has to do about a status with which the other side refused us.
std::string_view describe_status(int status);

}  // namespace stickmesh::peers
