#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <tl/expected.hpp>

#include "agent/base/bytes.h"
#include "spoe/wire/disconnect.h"
#include "spoe/wire/frame.h"

namespace stickmesh::spoe {

/// Longest HELLO that is taken, in bytes of length; HAProxy's have some 150.
inline constexpr std::size_t kMaxHelloLength = std::size_t{16} * 1024 + 256;

/// What HAProxy says first (spop.md 3). Views point into the payload.
struct HaproxyHello {
  std::uint64_t max_frame_size = 0;  ///< at least `kMinFrameSize`
  bool pipelining = false;
  bool async = false;
  bool health_check = false;
  std::string_view engine_id;  ///< empty in health checks
};

// A list of names and typed values: "supported-versions" string, "max-frame-size" integer, "capabilities"
// string, ["engine-id" string], ["healthcheck" bool]

/// Takes the keys in any order and skips unknown ones; of one that is repeated the last counts. Any 2.x
/// version will do: it is answered with 2.0.
tl::expected<HaproxyHello, Refusal> decode_haproxy_hello(const FrameHeader& header, Bytes payload);
/// A whole HAPROXY-HELLO frame, as HAProxy would send it.
void encode_haproxy_hello(const HaproxyHello& hello, Writer& out);

struct AgentHello {
  std::uint32_t max_frame_size = 0;
  bool pipelining = false;
  bool fragmentation = false;

  bool operator==(const AgentHello&) const = default;
};

/// A whole AGENT-HELLO frame. `async` is never among its capabilities: HAProxy 3.1 and later take an
/// acknowledgement on another connection for that of another client.
void encode_agent_hello(const AgentHello& hello, Writer& out);
/// As HAProxy reads it; nothing when it would refuse it.
std::optional<AgentHello> decode_agent_hello(Bytes payload);

}  // namespace stickmesh::spoe
