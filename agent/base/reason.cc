#include "agent/base/reason.h"

#include "agent/base/result.h"

namespace stickmesh {

namespace {

constexpr std::array<std::string_view, kReasonCount> kNames = {
    "truncated",
    "varint-overflow",
    "value-out-of-range",
    "message-too-long",
    "reserved-class",
    "peer-reported-error",
    "bad-hello",
    "bad-version",
    "wrong-peer-name",
    "unknown-peer",
    "own-name",
    "forbidden-address",
    "no-tls",
    "unexpected-tls",
    "tls-failed",
    "unknown-authority",
    "certificate-expired",
    "wrong-certificate",
    "bad-certificate",
    "certificate-refused",
    "duplicate-session",
    "replaced-session",
    "refused-by-peer",
    "handshake-timeout",
    "idle-timeout",
    "not-reading",
    "bad-definition",
    "unknown-table-id",
    "bad-key",
    "bad-dictionary-id",
    "too-many-tables",
    "too-many-origins",
    "definition-mismatch",
    "table-full",
    "suspected-mixing",
    "rules-mismatch",
    "server-mismatch",
    "no-memory",
    "connect-failed",
    "connection-lost",
    "bad-command",
    "not-found",
    "not-its-origin",
    "bad-snapshot",
    "reload-failed",
    "stopping",
    "bad-frame",
    "bad-message",
    "frame-timeout",
    "overload",
    "redis",
    "hook",
    "system",
};

}  // namespace

std::string_view reason_name(Reason reason) {
  return kNames[static_cast<std::size_t>(reason)];
}

std::string to_string(const Error& error) {
  std::string text(reason_name(error.reason));
  if (!error.detail.empty()) text.append(": ").append(error.detail);
  return text;
}

}  // namespace stickmesh
