#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
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
