#include "spoe/wire/frame.h"

namespace stickmesh::spoe {

namespace {

Frame without_payload(FrameStatus status, std::size_t size) {
  Frame frame;
  frame.status = status;
  frame.size = size;
  return frame;
}

}  // namespace

Frame parse_frame(Bytes in, std::size_t max_length) {
  if (in.size() < kLengthSize) return without_payload(FrameStatus::kNeedMore, kLengthSize);
  const std::size_t length = Reader(in.first(kLengthSize)).u32be();
  if (length < kMinFrameLength) return without_payload(FrameStatus::kInvalid, length);
  if (length > max_length) return without_payload(FrameStatus::kTooLong, length);
  if (in.size() - kLengthSize < length) {
    return without_payload(FrameStatus::kNeedMore, kLengthSize + length);
  }

  Reader reader(in.subspan(kLengthSize, length));
  Frame frame;
  frame.status = FrameStatus::kFrame;
  frame.size = kLengthSize + length;
  frame.header.type = static_cast<FrameType>(reader.u8());
  frame.header.flags = reader.u32be();
  frame.header.stream_id = reader.varint();
  frame.header.frame_id = reader.varint();
  if (!reader.ok()) return without_payload(FrameStatus::kInvalid, length);
  frame.payload = reader.rest();
  return frame;
}

void encode_frame_length(std::size_t length, std::byte* out) {
  for (unsigned index = 0; index < kLengthSize; ++index) {
    out[index] = static_cast<std::byte>(length >> (24U - 8U * index));
  }
}

std::byte* encode_frame_head(const FrameHeader& header, std::size_t payload_size, std::byte* out) {
  std::byte* at = out + kLengthSize;
  *at++ = static_cast<std::byte>(header.type);
  encode_frame_length(header.flags, at);
  at = encode_varint(header.stream_id, at + 4);
  at = encode_varint(header.frame_id, at);
  encode_frame_length(static_cast<std::size_t>(at - out) - kLengthSize + payload_size, out);
  return at;
}

void write_frame(const FrameHeader& header, Bytes payload, Writer& out) {
  std::byte head[kMaxFrameHead];
  out.bytes({head, static_cast<std::size_t>(encode_frame_head(header, payload.size(), head) - head)});
  out.bytes(payload);
}

}  // namespace stickmesh::spoe
