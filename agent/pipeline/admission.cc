#include <fmt/format.h>

#include <algorithm>

#include "agent/base/host_name.h"
#include "agent/base/peer_name.h"
#include "agent/base/printable.h"
#include "agent/pipeline/accepted_origin.h"
#include "agent/pipeline/peer_link.h"

namespace stickmesh::pipeline {

namespace {

// HAProxy speaks every 3 s when idle: a session that was heard of within this time is alive.
constexpr Duration kAlive{4000};
constexpr Duration kTakeoverWindow{30000};
constexpr std::ptrdiff_t kTakeovers = 3;
constexpr std::size_t kStrangersKept = 16;
constexpr std::size_t kCrossingsKept = 64;

}  // namespace

Result<Peer*> Hub::admit(PeerLink& link, const peers::Hello& hello, TimePoint now) {
  if (auto names = check_names(link, hello, now); !names) return tl::unexpected(names.error());
  Peer* peer = find(hello.from);
  if (peer != nullptr) {
    if (auto from = check_source(link, *peer); !from) {
      if (peer->link == nullptr) peer->note = to_string(from.error());
      return tl::unexpected(from.error());
    }
    if (auto beside = admit_beside(link, *peer, hello, now); !beside) return tl::unexpected(beside.error());
    return peer;
  }
  peer = add_peer({hello.from, PeerKind::kHaproxy, {}, {}, 0}, /*configured=*/false);
  if (peer == nullptr) return tl::unexpected(registry_.no_place_for(hello.from));
  if (auto from = check_source(link, *peer); !from) {
    registry_.origins()[peer->origin].known = false;
    instances_[peer->origin] = nullptr;
    peers_.pop_back();
    remember_stranger(link.source(), hello.from, from.error(), now);
    return tl::unexpected(from.error());
  }
  return peer;
}

Result<void> Hub::check_names(const PeerLink& link, const peers::Hello& hello, TimePoint now) {
  const auto refused = [&](Reason reason, std::string detail) -> Result<void> {
    const Error error{reason, std::move(detail)};
    if (Peer* peer = find(hello.from); peer != nullptr && peer->link == nullptr) {
      peer->note = to_string(error);
    } else if (peer == nullptr) {
      remember_stranger(link.source(), readable(hello.from), error, now);
    }
    return tl::unexpected(error);
  };
  if (hello.from == setup_.agent_name) {
    return refused(
        Reason::kOwnName,
        fmt::format(
            "a peer from {} calls itself '{}', which is this agent's own name: give it another one, with "
            "`localpeer` in the global section of its haproxy.cfg, or change [agent] name in {}",
            link.source().text, hello.from, setup_.config_file));
  }
  if (hello.from == kAcceptedOrigin) {
    return refused(
        Reason::kUnknownPeer,
        fmt::format("a peer from {} calls itself '{}', which is the name of what others write to Redis: give "
                    "it another one, with `localpeer` in the global section of its haproxy.cfg",
                    link.source().text, hello.from));
  }
  if (hello.to != setup_.agent_name) {
    return refused(
        Reason::kWrongPeerName,
        fmt::format(
            "'{0}' calls this agent '{1}', but its name is '{2}': in the peers section of {0}'s haproxy.cfg "
            "write `server {2} ...` instead of `server {1} ...`, or set [agent] name = \"{1}\" in {3}",
            hello.from, readable(hello.to), setup_.agent_name, setup_.config_file));
  }
  // Where all are accepted, too: else one could count in the place of an agent, whose origins have a #.
  if (find(hello.from) == nullptr && !is_peer_name(hello.from)) {
    return refused(
        Reason::kUnknownPeer,
        fmt::format("a peer from {} calls itself {}: a name is made of letters, digits and _ : . -; set "
                    "`localpeer` in the global section of its haproxy.cfg",
                    link.source().text, printable(hello.from)));
  }
  if (find(hello.from) == nullptr && !setup_.accept_unknown) {
    std::string expected;
    for (const Peer& peer : peers_) {
      if (peer.configured) expected += (expected.empty() ? "'" : ", '") + peer.setup.name + "'";
    }
    return refused(
        Reason::kUnknownPeer,
        fmt::format(
            "a peer from {} calls itself '{}', but expected is {}: on that host set `localpeer` in the "
            "global section of haproxy.cfg to the expected name (it is the host name by default), or add "
            "[[peer]] name = \"{}\" to {}",
            link.source().text, hello.from, expected.empty() ? "nobody" : expected, hello.from,
            setup_.config_file));
  }
  return {};
}

Result<void> Hub::check_source(const PeerLink& link, const Peer& peer) const {
  const Source& source = link.source();
  if (source.certified) return check_certificate(source, peer.setup.name);
  // A UNIX socket's file says who may connect.
  if (source.host.empty() || source.host == peer.setup.host) return {};
  if (setup_.allowed_from && setup_.allowed_from(source)) return {};
  return refuse(
      Reason::kForbiddenAddress,
      fmt::format("'{}' comes from {}, which is neither its own `address` nor in [peers] allow-from of {}",
                  peer.setup.name, source.text, setup_.config_file));
}

Result<void> Hub::check_certificate(const Source& source, std::string_view name) const {
  if (!source.certified) return {};
  std::string carried;
  for (const std::string& other : *source.certified) {
    if (same_host_name(other, name)) return {};
    carried += (carried.empty() ? "'" : ", '") + other + "'";
  }
  // Those of a certificate are bounded by the handshake alone.
  constexpr std::size_t kShown = 200;
  if (carried.size() > kShown) carried = carried.substr(0, kShown) + "...";
  return refuse(
      Reason::kWrongCertificate,
      fmt::format("the certificate from {0} carries {2}, not the name '{1}': issue it with "
                  "subjectAltName = DNS:{1}, or correct the name (`localpeer` in haproxy.cfg, "
                  "[[peer]] name in {3})",
                  source.text, name, carried.empty() ? "no DNS name" : carried, setup_.config_file));
}

Result<void> Hub::admit_beside(PeerLink& link, Peer& peer, const peers::Hello& hello, TimePoint now) {
  if (peer.link == nullptr || peer.link == &link) return {};
  if (peer.setup.kind == PeerKind::kAgent) return admit_agent_beside(peer, hello, now);
  peers::PeerSession& present = peer.link->session();
  const bool alive = now - present.traffic().last_received < kAlive;
  const auto keep_first = [&](std::string detail) -> Result<void> {
    // HAProxy, when it releases the connection that we refuse, forgets that it has heard of the other one.
    present.nudge(now);
    const Error error{Reason::kDuplicateSession, std::move(detail)};
    peer.note = to_string(error);
    return tl::unexpected(error);
  };
  if (alive && present.role() == peers::Role::kDialling) {
    present.nudge(now);
    return refuse(Reason::kDuplicateSession, "both sides dialled; the connection that this agent made stays");
  }
  if (alive && hello.pid == peer.pid) {
    return keep_first(fmt::format(
        "a second session of process {} of '{}', while the first is alive: do two peers sections use "
        "this listener? Each needs a listener of its own",
        hello.pid, peer.setup.name));
  }
  if (auto turns = turns_taken(peer, hello.pid, alive, now)) return keep_first(std::move(*turns));
  present.close({Reason::kReplacedSession,
                 fmt::format("process {} of '{}' has connected", hello.pid, peer.setup.name)});
  peer.link = nullptr;
  peer.last_seen = now;
  return {};
}

std::optional<std::string> Hub::turns_taken(Peer& peer, std::uint64_t pid, bool alive, TimePoint now) {
  while (!peer.takeovers.empty() && now - peer.takeovers.front().when > kTakeoverWindow)
    peer.takeovers.pop_front();
  const bool returns = std::any_of(peer.takeovers.begin(), peer.takeovers.end(),
                                   [&](const Peer::Takeover& had) { return had.loser == pid; });
  const auto returned = std::count_if(peer.takeovers.begin(), peer.takeovers.end(),
                                      [](const Peer::Takeover& had) { return had.returned; });
  if (alive && returns && returned + 1 >= kTakeovers) {
    return fmt::format("processes {} and {} take turns under the name '{}': do two hosts have the same name?",
                       peer.pid, pid, peer.setup.name);
  }
  peer.takeovers.push_back({now, peer.pid, returns});
  return std::nullopt;
}

bool Hub::goes_on_crossing(Peer& peer, TimePoint now) {
  std::deque<TimePoint>& crossings = peer.crossings;
  while (!crossings.empty() && now - crossings.front() > kTakeoverWindow) crossings.pop_front();
  if (crossings.size() < kCrossingsKept) crossings.push_back(now);
  // One that has lost the session is silent there, which ends it sooner.
  return std::ssize(crossings) >= kTakeovers && now - crossings.front() > 2 * kAlive;
}

// Both may dial: of two connections the one stays that the agent with the smaller name has made.
Result<void> Hub::admit_agent_beside(Peer& peer, const peers::Hello& hello, TimePoint now) {
  peers::PeerSession& present = peer.link->session();
  const bool alive = now - present.traffic().last_received < kAlive;
  if (alive && present.role() == peers::Role::kDialling && setup_.agent_name < hello.from) {
    std::string detail = "both sides dialled; the connection that this agent made stays";
    if (goes_on_crossing(peer, now)) {
      detail = fmt::format(
          "'{}' has a session, and dials all the same, again and again: do two hosts have the same name?",
          hello.from);
      peer.note = detail;
    }
    return refuse(Reason::kDuplicateSession, std::move(detail));
  }
  // One that redials as the same process has lost the session that we still see.
  if (hello.pid != peer.pid) {
    if (auto turns = turns_taken(peer, hello.pid, alive, now)) {
      peer.note = *turns;
      return refuse(Reason::kDuplicateSession, std::move(*turns));
    }
  }
  peer.link->replaced();
  present.close({Reason::kReplacedSession, fmt::format("'{}' has connected again", hello.from)});
  peer.link = nullptr;
  peer.last_seen = now;
  return {};
}

void Hub::turned_away(const Source& source, Peer* dialled, const Error& why, TimePoint now) {
  errors_.record(
      why, dialled != nullptr ? fmt::format("peer {} ({})", dialled->setup.name, source.text) : source.text,
      now);
  if (dialled == nullptr) return note_nameless(source, why, now);
  if (dialled->link == nullptr) dialled->note = to_string(why);
}

void Hub::note_nameless(const Source& source, const Error& why, TimePoint now) {
  bool known = false;
  for (Peer& peer : peers_) {
    if (source.host.empty() || peer.setup.host != source.host) continue;
    known = true;
    if (peer.link == nullptr) peer.note = fmt::format("{}, from {}", to_string(why), source.text);
  }
  if (!known) remember_stranger(source, {}, why, now);
}

void Hub::remember_stranger(const Source& source, const std::string& name, const Error& error,
                            TimePoint now) {
  auto known = std::find_if(strangers_.begin(), strangers_.end(),
                            [&](const Stranger& had) { return had.name == name; });
  if (known == strangers_.end()) {
    if (strangers_.size() >= kStrangersKept) strangers_.pop_front();
    known = strangers_.insert(strangers_.end(), Stranger{name, {}, {}, 0, {}});
  }
  known->source = source.text;
  known->note = to_string(error);
  ++known->tries;
  known->last = now;
}

}  // namespace stickmesh::pipeline
