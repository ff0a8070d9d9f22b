#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "spoe/wire/ack.h"
#include "spoe/wire/disconnect.h"
#include "spoe/wire/frame.h"
#include "spoe/wire/hello.h"
#include "spoe/wire/notify.h"
#include "tests/unit/peers/hex.h"

namespace stickmesh::spoe {

using peers::from_hex;
using peers::joined;
using peers::plain;
using peers::to_hex;

using ByteVector = std::vector<std::byte>;

/// What HAProxy's health check says in every version (spop.md 2.5).
inline ByteVector health_check() {
  HaproxyHello hello;
  hello.max_frame_size = 16380;
  hello.health_check = true;
  ByteVector bytes;
  Writer writer(bytes);
  encode_haproxy_hello(hello, writer);
  return bytes;
}

inline ByteVector haproxy_hello(std::uint64_t max_frame_size = 16380) {
  HaproxyHello hello;
  hello.max_frame_size = max_frame_size;
  hello.pipelining = hello.async = true;
  hello.engine_id = "ff1e3a20-engine";
  ByteVector bytes;
  Writer writer(bytes);
  encode_haproxy_hello(hello, writer);
  return bytes;
}

inline ByteVector haproxy_disconnect(Status status, std::string_view message = "bye") {
  ByteVector bytes;
  Writer writer(bytes);
  encode_haproxy_disconnect(status, message, writer);
  return bytes;
}

inline ByteVector frame(const FrameHeader& header, Bytes payload = {}) {
  ByteVector bytes;
  Writer writer(bytes);
  write_frame(header, payload, writer);
  return bytes;
}

/// One message with a string, a number and no sample.
inline ByteVector payload(std::string_view name = "track", std::string_view key = "joe") {
  ByteVector bytes;
  MessageWriter writer(bytes);
  writer.message(name, 3);
  writer.argument("key", Value::string(key));
  writer.argument("http_req_rate", Value::int64(1));
  writer.argument("", Value::null());
  return bytes;
}

inline ByteVector notify(std::uint64_t stream_id = 1, std::uint64_t frame_id = 1) {
  return frame({FrameType::kNotify, kFin, stream_id, frame_id}, payload());
}

inline ByteVector notify(std::uint64_t stream_id, std::uint64_t frame_id, Bytes messages) {
  return frame({FrameType::kNotify, kFin, stream_id, frame_id}, messages);
}

inline ByteVector operator+(ByteVector left, const ByteVector& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

inline std::string describe(const Value& value) {
  switch (value.type) {
    case DataType::kNull:
      return "null";
    case DataType::kBool:
      return value.number != 0 ? "true" : "false";
    case DataType::kString:
      return fmt::format("\"{}\"", value.text());
    case DataType::kBinary:
    case DataType::kIpv4:
    case DataType::kIpv6:
      return to_hex(value.bytes);
    default:
      return fmt::format("{}", value.signed_number());
  }
}

inline std::string describe_actions(Bytes payload) {
  ActionReader reader(payload);
  std::string text;
  while (const std::optional<Action> action = reader.next()) {
    text += fmt::format(" {}.{}", static_cast<int>(action->scope), action->name);
    text += action->set ? "=" + describe(action->value) : " unset";
  }
  return reader.ok() ? text : text + " BAD";
}

/// One frame of ours in words: "ACK 1.1 2.ok=true".
inline std::string describe(const Frame& frame) {
  const FrameHeader& header = frame.header;
  if (header.type == FrameType::kAck) {
    return fmt::format("ACK{} {}.{}{}", header.flags == kFin ? "" : fmt::format("/{}", header.flags),
                       header.stream_id, header.frame_id, describe_actions(frame.payload));
  }
  if (header.flags != kFin || header.stream_id != 0 || header.frame_id != 0) return "BAD HEADER";
  if (header.type == FrameType::kAgentHello) {
    const auto hello = decode_agent_hello(frame.payload);
    if (!hello) return "BAD HELLO";
    return fmt::format("HELLO {}{}{}", hello->max_frame_size, hello->pipelining ? " pipelining" : "",
                       hello->fragmentation ? " fragmentation" : "");
  }
  const auto disconnect = decode_disconnect(frame.payload);
  if (header.type != FrameType::kAgentDisconnect || !disconnect) return "BAD FRAME";
  return fmt::format("DISCONNECT {}", static_cast<unsigned>(disconnect->status));
}

/// All frames of ours in |bytes|, which must be whole.
inline std::vector<std::string> describe_frames(Bytes bytes) {
  std::vector<std::string> frames;
  while (!bytes.empty()) {
    const Frame frame = parse_frame(bytes, 1 << 20);
    if (frame.status != FrameStatus::kFrame) {
      frames.push_back("BROKEN");
      break;
    }
    frames.push_back(describe(frame));
    bytes = bytes.subspan(frame.size);
  }
  return frames;
}

}  // namespace stickmesh::spoe
