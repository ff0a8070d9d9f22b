#include <fmt/format.h>

#include <algorithm>

#include "agent/base/printable.h"
#include "agent/peers/session/session_impl.h"

namespace stickmesh::peers {

namespace {

// The first bytes of TLS: a record of |type|, version 3.x.
bool is_tls(std::string_view text, char type) {
  return text.size() >= 2 && text[0] == type && text[1] == 3;
}

}  // namespace

Result<void> PeerSession::Impl::take_greeting(Bytes& in, TimePoint now) {
  const std::size_t before = greeting.size();
  greeting.append(as_text(in.first(std::min(in.size(), kMaxHelloSize - before))));
  std::size_t taken = 0;
  Result<void> done = options.role == Role::kAccepting ? take_hello(taken, now) : take_status(taken);
  if (!done) return done;
  if (taken == 0) {
    in = {};
    return {};
  }
  in = in.subspan(taken - before);
  greeting = {};
  if (state == State::kHandshake) establish(now);
  return {};
}

Result<void> PeerSession::Impl::take_hello(std::size_t& taken, TimePoint now) {
  if (is_tls(greeting, /*handshake*/ 22)) {
    return refuse(
        Reason::kUnexpectedTls,
        "what came is TLS, and this port has none: take `ssl` out of the `server` line of this agent "
        "in haproxy.cfg, or configure [peers.tls] here");
  }
  auto parsed = parse_hello(greeting);
  if (!parsed) return tl::unexpected(parsed.error());
  if (!*parsed) return {};
  taken = (*parsed)->size;
  hello = std::move((*parsed)->hello);
  if (!options.local_name.empty() && hello.to != options.local_name) {
    return refuse(Reason::kWrongPeerName,
                  fmt::format("{} calls us {}", printable(hello.from), printable(hello.to)));
  }
  if (Result<void> admitted = handler.admit(hello, now); !admitted) return admitted;
  // No other status is ever sent: HAProxy does not redial after one.
  if (state == State::kHandshake) output.append(as_bytes(encode_status(kStatusAccepted)));
  return {};
}

Result<void> PeerSession::Impl::take_status(std::size_t& taken) {
  if (is_tls(greeting, /*alert*/ 21)) {
    return refuse(Reason::kUnexpectedTls,
                  "the other side speaks TLS: take `ssl` out of the `bind` line of its peers section, or "
                  "configure [peers.tls] here");
  }
  const auto parsed = parse_status(greeting);
  if (!parsed) return tl::unexpected(parsed.error());
  if (!*parsed) return {};
  taken = (*parsed)->size;
  status = (*parsed)->status;
  if (status == kStatusAccepted) return {};
  return refuse(Reason::kRefusedByPeer, fmt::format("{}: {}", status, describe_status(status)));
}

void PeerSession::Impl::establish(TimePoint now) {
  state = State::kRunning;
  if (hello.minor == 0) learner.expect_untimed_lessons();
  liveness.established(now);
  handler.established(now);
}

}  // namespace stickmesh::peers
