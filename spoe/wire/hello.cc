#include "spoe/wire/hello.h"

#include <fmt/format.h>

#include <limits>
#include <string>

#include "agent/base/printable.h"
#include "spoe/wire/typed_data.h"

namespace stickmesh::spoe {

namespace {

constexpr std::string_view kBlank = " \t";

/// The next item of a comma-separated list, without the blanks around it; advances |list| past it.
std::string_view next_item(std::string_view& list) {
  const std::size_t comma = list.find(',');
  std::string_view item = list.substr(0, comma);
  list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
  const std::size_t first = item.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return item.substr(first, item.find_last_not_of(kBlank) - first + 1);
}

bool has_item(std::string_view list, std::string_view wanted) {
  while (!list.empty()) {
    if (next_item(list) == wanted) return true;
  }
  return false;
}

bool offers_version_2(std::string_view list) {
  while (!list.empty()) {
    const std::string_view version = next_item(list);
    if (version.size() > 2 && version.starts_with("2.") &&
        version.find_first_not_of("0123456789", 2) == std::string_view::npos) {
      return true;
    }
  }
  return false;
}

/// The keys as they came, before anything is made of them.
struct Keys {
  std::optional<Value> versions, max_frame_size, capabilities, engine_id, health_check;

  std::optional<Value>* find(std::string_view key) {
    if (key == "supported-versions") return &versions;
    if (key == "max-frame-size") return &max_frame_size;
    if (key == "capabilities") return &capabilities;
    if (key == "engine-id") return &engine_id;
    if (key == "healthcheck") return &health_check;
    return nullptr;
  }
};

bool is_type(const std::optional<Value>& value, DataType type) {
  return !value || value->type == type;
}

}  // namespace

tl::expected<HaproxyHello, Refusal> decode_haproxy_hello(const FrameHeader& header, Bytes payload) {
  if (!header.fin()) return disconnect_with(Status::kNoFragmentation, Reason::kBadHello, "HELLO without FIN");
  if (header.stream_id != 0 || header.frame_id != 0) {
    return disconnect_with(Status::kInvalid, Reason::kBadHello, "HELLO whose ids are not 0");
  }
  Keys keys;
  Reader reader(payload);
  while (reader.ok() && reader.remaining() > 0) {
    const std::string_view key = read_name(reader);
    const Value value = read_value(reader);
    if (std::optional<Value>* slot = keys.find(key); slot != nullptr) *slot = value;
  }
  if (!reader.ok()) {
    return disconnect_with(Status::kInvalid, Reason::kBadHello,
                           fmt::format("HELLO that cannot be read: {}", reason_name(reader.failure())));
  }
  if (!is_type(keys.versions, DataType::kString) || !is_type(keys.capabilities, DataType::kString) ||
      !is_type(keys.engine_id, DataType::kString) || !is_type(keys.health_check, DataType::kBool) ||
      (keys.max_frame_size && !keys.max_frame_size->is_integer())) {
    return disconnect_with(Status::kInvalid, Reason::kBadHello, "HELLO with a key of the wrong type");
  }
  if (!keys.versions) {
    return disconnect_with(Status::kNoVersion, Reason::kBadHello, "HELLO without supported-versions");
  }
  if (!keys.max_frame_size) {
    return disconnect_with(Status::kNoMaxFrameSize, Reason::kBadHello, "HELLO without max-frame-size");
  }
  if (!keys.capabilities) {
    return disconnect_with(Status::kNoCapabilities, Reason::kBadHello, "HELLO without capabilities");
  }
  if (!offers_version_2(keys.versions->text())) {
    return disconnect_with(
        Status::kBadVersion, Reason::kBadVersion,
        fmt::format("SPOP 2.0 is spoken here, HELLO offers \"{}\"", readable(keys.versions->text())));
  }
  const std::int64_t size = keys.max_frame_size->signed_number();
  if (size < static_cast<std::int64_t>(kMinFrameSize)) {
    return disconnect_with(Status::kBadMaxFrameSize, Reason::kBadHello,
                           fmt::format("HELLO with max-frame-size {}, less than {}", size, kMinFrameSize));
  }
  HaproxyHello hello;
  hello.max_frame_size = keys.max_frame_size->number;
  hello.pipelining = has_item(keys.capabilities->text(), "pipelining");
  hello.async = has_item(keys.capabilities->text(), "async");
  hello.health_check = keys.health_check && keys.health_check->number != 0;
  if (keys.engine_id) hello.engine_id = keys.engine_id->text();
  return hello;
}

void encode_haproxy_hello(const HaproxyHello& hello, Writer& out) {
  std::vector<std::byte> payload;
  Writer writer(payload);
  write_name("supported-versions", writer);
  write_value(Value::string("2.0"), writer);
  write_name("max-frame-size", writer);
  write_value({DataType::kUint32, hello.max_frame_size, {}}, writer);
  write_name("capabilities", writer);
  std::string capabilities = hello.pipelining ? "pipelining" : "";
  if (hello.async) capabilities += capabilities.empty() ? "async" : ",async";
  write_value(Value::string(capabilities), writer);
  if (!hello.engine_id.empty()) {
    write_name("engine-id", writer);
    write_value(Value::string(hello.engine_id), writer);
  }
  if (hello.health_check) {
    write_name("healthcheck", writer);
    write_value(Value::boolean(true), writer);
  }
  write_frame({FrameType::kHaproxyHello, kFin, 0, 0}, payload, out);
}

void encode_agent_hello(const AgentHello& hello, Writer& out) {
  std::vector<std::byte> payload;
  Writer writer(payload);
  write_name("version", writer);
  write_value(Value::string("2.0"), writer);
  write_name("max-frame-size", writer);
  write_value(Value::uint32(hello.max_frame_size), writer);
  write_name("capabilities", writer);
  std::string capabilities = hello.pipelining ? "pipelining" : "";
  if (hello.fragmentation) capabilities += capabilities.empty() ? "fragmentation" : ",fragmentation";
  write_value(Value::string(capabilities), writer);
  write_frame({FrameType::kAgentHello, kFin, 0, 0}, payload, out);
}

std::optional<AgentHello> decode_agent_hello(Bytes payload) {
  Reader reader(payload);
  std::optional<Value> version, size, capabilities;
  while (reader.ok() && reader.remaining() > 0) {
    const std::string_view key = read_name(reader);
    const Value value = read_value(reader);
    if (key == "version") version = value;
    if (key == "max-frame-size") size = value;
    if (key == "capabilities") capabilities = value;
  }
  if (!reader.ok() || !version || version->text() != "2.0" || !size || !size->is_integer()) return {};
  if (size->number < kMinFrameSize || size->number > std::numeric_limits<std::uint32_t>::max()) return {};
  if (!capabilities || capabilities->type != DataType::kString) return {};
  return AgentHello{static_cast<std::uint32_t>(size->number), has_item(capabilities->text(), "pipelining"),
                    has_item(capabilities->text(), "fragmentation")};
}

}  // namespace stickmesh::spoe
