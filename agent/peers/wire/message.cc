#include "agent/peers/wire/message.h"

#include <algorithm>
#include <limits>

namespace stickmesh::peers {

namespace {

constexpr std::size_t kMaxLengthSize = kMaxHeaderSize - 2;

Frame need_more(std::size_t size) {
  Frame frame;
  frame.size = size;
  return frame;
}

Frame refused(Reason reason) {
  Frame frame;
  frame.status = FrameStatus::kRefused;
  frame.reason = reason;
  return frame;
}

Frame message(Bytes header, Bytes body) {
  return {FrameStatus::kMessage,
          {static_cast<MessageClass>(header[0]), std::to_integer<std::uint8_t>(header[1]), body},
          header.size() + body.size(),
          {}};
}

}  // namespace

Frame parse_frame(Bytes in, std::size_t max_body) {
  if (in.size() < 2) return need_more(2);
  if (static_cast<MessageClass>(in[0]) == MessageClass::kReserved) return refused(Reason::kReservedClass);
  if ((in[1] & std::byte{0x80}) == std::byte{0}) return message(in.first(2), {});

  const Bytes length_field = in.subspan(2, std::min(in.size() - 2, kMaxLengthSize));
  const std::byte* at = length_field.data();
  std::uint64_t length = 0;
  if (decode_varint(at, at + length_field.size(), length) != VarintStatus::kOk) {
    if (length_field.size() == kMaxLengthSize) return refused(Reason::kVarintOverflow);
    return need_more(in.size() + 1);
  }
  if (length > std::numeric_limits<std::uint32_t>::max()) return refused(Reason::kValueOutOfRange);
  if (length > max_body) return refused(Reason::kMessageTooLong);

  const auto header_size = static_cast<std::size_t>(at - in.data());
  if (in.size() - header_size < length) return need_more(header_size + length);
  return message(in.first(header_size), in.subspan(header_size, length));
}

void encode_control(ControlType type, Writer& out) {
  out.u8(static_cast<std::uint8_t>(MessageClass::kControl));
  out.u8(static_cast<std::uint8_t>(type));
}

void encode_error(ErrorType type, Writer& out) {
  out.u8(static_cast<std::uint8_t>(MessageClass::kError));
  out.u8(static_cast<std::uint8_t>(type));
}

void encode_table_header(TableType type, std::size_t size, Writer& out) {
  out.u8(static_cast<std::uint8_t>(MessageClass::kStickTable));
  out.u8(static_cast<std::uint8_t>(type));
  out.varint(size);
}

}  // namespace stickmesh::peers
