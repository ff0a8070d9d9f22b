#pragma once

#include <cstddef>
#include <cstdint>

#include "agent/base/bytes.h"

namespace stickmesh::spoe {

// | u32be length of what follows | type:1 | u32be flags | varint stream id | varint frame id | payload |
// (spop.md 2.1)

/// Any byte; the named ones are understood (spop.md 2.4).
enum class FrameType : std::uint8_t {
  kUnset = 0,  ///< the next piece of a fragmented frame
  kHaproxyHello = 1,
  kHaproxyDisconnect = 2,
  kNotify = 3,
  kAgentHello = 101,
  kAgentDisconnect = 102,
  kAck = 103,
};

inline constexpr std::uint32_t kFin = 1;
inline constexpr std::uint32_t kAbort = 2;

inline constexpr std::size_t kLengthSize = 4;
/// Type, flags and two ids of a byte each.
inline constexpr std::size_t kMinFrameLength = 7;
/// Length, type, flags and the longest ids.
inline constexpr std::size_t kMaxFrameHead = kLengthSize + 1 + 4 + 2 * kMaxVarintSize;
/// Least that either side may negotiate, in bytes of length.
inline constexpr std::size_t kMinFrameSize = 256;

struct FrameHeader {
  FrameType type = FrameType::kUnset;
  std::uint32_t flags = kFin;  ///< bits other than kFin and kAbort are reserved: sent as 0, ignored
  std::uint64_t stream_id = 0;
  std::uint64_t frame_id = 0;

  bool fin() const { return (flags & kFin) != 0; }
  bool aborts() const { return (flags & kAbort) != 0; }
  bool operator==(const FrameHeader&) const = default;
};

enum class FrameStatus : std::uint8_t {
  kFrame,
  kNeedMore,
  kTooLong,  ///< longer than what was negotiated
  kInvalid,  ///< shorter than its own header, or ids that are no numbers
};

struct Frame {
  FrameStatus status = FrameStatus::kNeedMore;
  FrameHeader header;
  Bytes payload;  ///< a view of the input
  /// kFrame: the bytes it took. kNeedMore: as many are needed in all before it is worth parsing again.
  /// kTooLong and kInvalid: the length that it claims.
  std::size_t size = 0;
};

/// Finds the frame at the start of |in|. What its length shows is refused as soon as that has come.
Frame parse_frame(Bytes in, std::size_t max_length);

/// Writes length, type, flags and ids, at most `kMaxFrameHead` bytes, and returns the end; |payload_size|
/// bytes follow.
std::byte* encode_frame_head(const FrameHeader& header, std::size_t payload_size, std::byte* out);
/// Writes the length alone, over `kLengthSize` bytes.
void encode_frame_length(std::size_t length, std::byte* out);

void write_frame(const FrameHeader& header, Bytes payload, Writer& out);

}  // namespace stickmesh::spoe
