#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

#include "agent/base/bytes.h"
#include "agent/base/result.h"

namespace stickmesh::spoe {

/// Status codes of a DISCONNECT (spop.md 6). HAProxy may send others.
enum class Status : std::uint32_t {
  kNormal = 0,
  kIo = 1,
  kTimeout = 2,
  kTooBig = 3,
  kInvalid = 4,
  kNoVersion = 5,
  kNoMaxFrameSize = 6,
  kNoCapabilities = 7,
  kBadVersion = 8,
  kBadMaxFrameSize = 9,
  kNoFragmentation = 10,
  kInterlaced = 11,
  kUnknownFrameId = 12,
  kResource = 13,
  kUnknown = 99,
};

/// The status in a few words, such as "timeout"; of any number.
std::string_view status_name(Status status);

/// Why a connection cannot go on: what the other side is told, and what the operator is.
struct Refusal {
  Status status;
  Error error;
};

inline tl::unexpected<Refusal> disconnect_with(Status status, Reason reason, std::string detail) {
  return tl::unexpected<Refusal>(Refusal{status, {reason, std::move(detail)}});
}

struct Disconnect {
  Status status = Status::kUnknown;
  std::string_view message;  ///< a view of the payload
};

// "status-code" uint32 and "message" string, of which |message| alone may be missing. Keys come in any
// order; unknown ones are skipped.
Result<Disconnect> decode_disconnect(Bytes payload);

/// Longest message that is sent: with it, the frame fits the least size that can be negotiated.
inline constexpr std::size_t kMaxDisconnectMessage = 200;

/// A whole AGENT-DISCONNECT frame; |message| is cut to what it may have.
void encode_agent_disconnect(Status status, std::string_view message, Writer& out);
void encode_haproxy_disconnect(Status status, std::string_view message, Writer& out);

}  // namespace stickmesh::spoe
