#pragma once

#include <cstddef>
#include <cstdint>

#include "agent/base/bytes.h"

namespace stickmesh::peers {

// | class:1 | type:1 | when type has bit 7: varint length | body |   (peers-protocol 1.4)

enum class MessageClass : std::uint8_t { kControl = 0, kError = 1, kStickTable = 10, kReserved = 255 };

enum class ControlType : std::uint8_t {
  kResyncRequest = 0,
  kResyncFinished = 1,
  kResyncPartial = 2,
  kResyncConfirm = 3,
  kHeartbeat = 4,
};

enum class ErrorType : std::uint8_t { kProtocol = 0, kSizeLimit = 1 };

enum class TableType : std::uint8_t {
  kUpdate = 0x80,
  kImplicitUpdate = 0x81,
  kDefinition = 0x82,
  kSwitch = 0x83,
  kAck = 0x84,
  kTimedUpdate = 0x85,
  kImplicitTimedUpdate = 0x86,
};

inline constexpr std::size_t kMaxHeaderSize = 2 + 5;
/// A whole message of more bytes never fits a default `tune.bufsize`: HAProxy would wait for its end until it
/// times out.
inline constexpr std::size_t kMaxSentMessage = 16384;

struct Message {
  MessageClass message_class = MessageClass::kControl;  ///< any byte; the named ones are understood
  std::uint8_t type = 0;
  Bytes body;
};

enum class FrameStatus : std::uint8_t { kMessage, kNeedMore, kRefused };

struct Frame {
  FrameStatus status = FrameStatus::kNeedMore;
  Message message;
  /// kMessage: the bytes it took. kNeedMore: as many are needed in all before it is worth parsing again.
  std::size_t size = 0;
  Reason reason = Reason::kTruncated;  ///< of kRefused
};

/// Finds the message at the start of |in|. Refused as soon as its header shows it: class 255, a length of
/// more than five bytes or 32 bits, and a body longer than |max_body|.
Frame parse_frame(Bytes in, std::size_t max_body);

void encode_control(ControlType type, Writer& out);
void encode_error(ErrorType type, Writer& out);
/// Header of a stick-table message with |size| bytes of body to follow.
void encode_table_header(TableType type, std::size_t size, Writer& out);

}  // namespace stickmesh::peers
