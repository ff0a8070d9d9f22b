#include "spoe/wire/disconnect.h"

#include <limits>

#include "spoe/wire/frame.h"
#include "spoe/wire/typed_data.h"

namespace stickmesh::spoe {

namespace {

void encode_disconnect(FrameType type, Status status, std::string_view message, Writer& out) {
  std::vector<std::byte> payload;
  Writer writer(payload);
  write_name("status-code", writer);
  write_value(Value::uint32(static_cast<std::uint32_t>(status)), writer);
  write_name("message", writer);
  write_value(Value::string(message.substr(0, kMaxDisconnectMessage)), writer);
  write_frame({type, kFin, 0, 0}, payload, out);
}

}  // namespace

std::string_view status_name(Status status) {
  switch (status) {
    case Status::kNormal:
      return "normal";
    case Status::kIo:
      return "I/O error";
    case Status::kTimeout:
      return "timeout";
    case Status::kTooBig:
      return "frame too big";
    case Status::kInvalid:
      return "invalid frame";
    case Status::kNoVersion:
      return "version not found";
    case Status::kNoMaxFrameSize:
      return "max-frame-size not found";
    case Status::kNoCapabilities:
      return "capabilities not found";
    case Status::kBadVersion:
      return "unsupported version";
    case Status::kBadMaxFrameSize:
      return "bad max-frame-size";
    case Status::kNoFragmentation:
      return "fragmentation not supported";
    case Status::kInterlaced:
      return "interlaced frames";
    case Status::kUnknownFrameId:
      return "frame id not found";
    case Status::kResource:
      return "resource allocation";
    case Status::kUnknown:
      break;
  }
  return "unknown error";
}

Result<Disconnect> decode_disconnect(Bytes payload) {
  Reader reader(payload);
  Disconnect disconnect;
  bool found = false;
  while (reader.ok() && reader.remaining() > 0) {
    const std::string_view key = read_name(reader);
    const Value value = read_value(reader);
    if (!reader.ok()) break;
    if (key == "status-code") {
      if (!value.is_integer() || value.number > std::numeric_limits<std::uint32_t>::max()) {
        return refuse(Reason::kBadFrame, "a DISCONNECT whose status-code is no number of 32 bits");
      }
      disconnect.status = static_cast<Status>(value.number);
      found = true;
    } else if (key == "message") {
      if (value.type != DataType::kString) {
        return refuse(Reason::kBadFrame, "a DISCONNECT whose message is no string");
      }
      disconnect.message = value.text();
    }
  }
  if (!reader.ok()) return refuse(reader.failure(), "a DISCONNECT");
  if (!found) return refuse(Reason::kBadFrame, "a DISCONNECT without status-code");
  return disconnect;
}

void encode_agent_disconnect(Status status, std::string_view message, Writer& out) {
  encode_disconnect(FrameType::kAgentDisconnect, status, message, out);
}

void encode_haproxy_disconnect(Status status, std::string_view message, Writer& out) {
  encode_disconnect(FrameType::kHaproxyDisconnect, status, message, out);
}

}  // namespace stickmesh::spoe
