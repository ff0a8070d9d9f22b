#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/time.h"
#include "agent/store/origins.h"

namespace stickmesh::pipeline {

class PeerLink;

/// How long a mark is believed (DESIGN, "Is the total to be trusted?").
inline constexpr Duration kMarkLife{2000};

enum class PeerKind : std::uint8_t { kHaproxy, kAgent };

/// A `[[peer]]` of the config.
struct PeerSetup {
  std::string name;
  PeerKind kind = PeerKind::kHaproxy;
  std::string address;  ///< empty: it only dials us
  std::string host;     ///< of |address|, without the port
  unsigned line = 0;    ///< in the config file
};

/// Where a connection comes from, or where we dialled.
struct Source {
  std::string text;
  std::string host;  ///< the address without its port; empty for UNIX sockets
  /// The DNS names in the certificate that was shown and verified; nothing where TLS asks for none.
  std::optional<std::vector<std::string>> certified{};
};

/// What is remembered of another agent across sessions, so that each goes on where the last was interrupted.
struct Fellowship {
  /// The other has taught us all that it had, as what it then said of itself: see `AgentRow`.
  struct Taught {
    std::uint32_t start = 0;
    std::uint32_t losses = 0;
    std::uint64_t redefinitions = 0;  ///< of all our tables: what they held was dropped at each
  };
  std::optional<Taught> taught;
  /// By table: the sequence number of its relay's feed up to which the other has taken what we had heard. A
  /// table that is missing begins at 0. Nothing: it was never told everything.
  using Taken = std::map<std::string, std::uint64_t, std::less<>>;
  std::optional<Taken> taken;
  std::uint32_t taker = 0;   ///< the `AgentRow::start` of the process that has
  std::uint32_t losses = 0;  ///< how many sessions with it have ended
  /// By instance, as `OriginRow` had it when the other did not publish to it.
  std::map<store::OriginId, std::uint32_t> publications;
};
inline std::uint64_t taken_of(const Fellowship::Taken& taken, std::string_view table) {
  const auto known = taken.find(table);
  return known == taken.end() ? 0 : known->second;
}

/// What the agent remembers of a peer, across its sessions.
struct Peer {
  PeerSetup setup;
  bool configured = true;
  store::OriginId origin = 0;

  unsigned minor = 1;        ///< the protocol version to offer when dialling: 2.|minor|
  PeerLink* link = nullptr;  ///< the live session; owned by its connection
  std::uint64_t pid = 0;     ///< the process of the last session
  /// That process has once answered our request with all that it had: its counters are what they will be.
  bool complete = false;
  /// What that process counts is of this generation; 0 before the first session.
  std::uint32_t generation = 0;
  std::uint64_t process = 0;  ///< as `store::Origin::process`
  /// How often this agent has begun to send it its totals; from a number that was drawn.
  std::uint32_t publications = 0;
  /// It may still be taught by the process before it, or have been while it answered.
  bool succeeds = false;
  /// All this is from before a restart of the agent, and no session has come since.
  bool recalled = false;
  TimePoint last_seen{};  ///< the epoch before the first session
  std::uint64_t sessions = 0;
  /// The last thing that went wrong, in words for the operator; empty while all is well.
  std::string note;

  /// Taken out of the expected origins by an operator (`set peer NAME maint`).
  bool maintenance = false;

  Fellowship fellowship;  ///< of another agent

  /// How far that process has acknowledged our tables: by output, a sequence number of its feed.
  std::map<std::string, std::uint64_t, std::less<>> acknowledged;
  /// The newest live update of that process, by table: older ones are repeats.
  std::map<std::string, std::uint32_t, std::less<>> live_ids;
  /// Another process numbers its updates anew.
  void forget_live_ids() {
    for (auto& [table, live_id] : live_ids) live_id = 0;
  }
  /// Processes that lately lost their session to another, oldest first.
  struct Takeover {
    TimePoint when;
    std::uint64_t loser;
    bool returned;  ///< the winner had lost one before: a reload never brings an old process back
  };
  std::deque<Takeover> takeovers;
  /// When another agent has lately dialled although it has a session that this one made.
  std::deque<TimePoint> crossings;
  /// Since when another agent has a session with another process of that name, and whether it was said.
  std::optional<TimePoint> namesake_since;
  bool namesake_told = false;
};

/// Someone whom we turned away by name.
struct Stranger {
  std::string name;  ///< empty for all who did not come as far as to say it
  std::string source;
  std::string note;
  std::uint64_t tries = 0;
  TimePoint last{};
};

}  // namespace stickmesh::pipeline
