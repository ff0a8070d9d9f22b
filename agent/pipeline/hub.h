#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error_log.h"
#include "agent/base/session.h"
#include "agent/peers/session/session.h"
#include "agent/pipeline/limits.h"
#include "agent/pipeline/mixing_watch.h"
#include "agent/pipeline/peer.h"
#include "agent/pipeline/registry.h"
#include "agent/pipeline/server_watch.h"
#include "agent/pipeline/subscriptions.h"

namespace stickmesh::pipeline {

class MeshLink;

struct HubSetup {
  std::string agent_name;
  std::string config_file;  ///< for messages that say which line to change
  std::uint64_t pid = 0;
  std::vector<PeerSetup> peers;
  bool accept_unknown = false;
  /// Whether a session may come from there when the peer has no address of its own (`allow-from`).
  std::function<bool(const Source&)> allowed_from;
  std::size_t max_tables = 100;
  std::vector<Limit> limits;
  Duration away_after{10000};
  Duration forget_after{600000};
  Duration publish_interval{20};
  /// How long other agents are waited for at start.
  Duration learn_timeout{5000};
  /// For marks, which are compared with HAProxy's own clock.
  std::function<std::chrono::system_clock::time_point()> wall_clock = std::chrono::system_clock::now;
};

/// With what the next process of this agent goes on besides tables and peers: it is the same incarnation.
struct Continuity {
  std::int64_t incarnation = 0;     ///< the Unix second at which it began
  std::uint32_t own_update_id = 0;  ///< the last that was used
  std::uint64_t lamport = 0;        ///< the number of the newest change
  bool learned = false;
  std::uint32_t start = 0;  ///< as `AgentRow` has them
  std::uint32_t losses = 0;
};

/// Joins the sessions with the tables: who may come in, which of two sessions stays, who is present, and when
/// totals are published and sent. Knows neither sockets nor the loop: `run` is to be called at the end of
/// each wake-up that brought something, and when it asked for it.
class Hub {
 public:
  Hub(HubSetup setup, Registry& registry, ErrorLog& errors);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  /// The protocol side of a connection that came in.
  /// Both: |source| says who it is for logs, for `allow-from`, and by what certificate.
  std::unique_ptr<Session> accept(Source source, TimePoint now);
  /// The protocol side of a connection that we made to |peer|.
  std::unique_ptr<Session> dial(Peer& peer, Source source, TimePoint now);
  /// Whether the certificate that |source| has shown, if one was asked for, is that of the peer |name|.
  Result<void> check_certificate(const Source& source, std::string_view name) const;
  /// A connection ended, for |why|, before it had a session; |dialled| is null when it came in.
  void turned_away(const Source& source, Peer* dialled, const Error& why, TimePoint now);

  /// Publishes, sends, lets expire; returns when it wants to be called next.
  std::optional<TimePoint> run(TimePoint now);
  /// Called when `run` has something new to do.
  void set_wakeup(std::function<void()> wakeup) { wakeup_ = std::move(wakeup); }
  void wake() const {
    if (wakeup_) wakeup_();
  }

  /// Called when a peer has no session any more.
  void on_session_ended(std::function<void(const Peer&)> callback) {
    on_session_ended_ = std::move(callback);
  }

  const HubSetup& setup() const { return setup_; }
  Registry& registry() { return registry_; }
  const Registry& registry() const { return registry_; }
  ErrorLog& errors() { return errors_; }
  std::list<Peer>& peers() { return peers_; }
  const std::list<Peer>& peers() const { return peers_; }
  const std::list<Stranger>& strangers() const { return strangers_; }
  const ServerWatch& servers() const { return servers_; }
  /// The origin of what this agent itself counts: its name and incarnation.
  store::OriginId own_origin() const { return own_origin_; }
  /// An incarnation of this name has counted before: this one, which has not yet, takes another. False when
  /// there is no place for it.
  bool renew_incarnation();
  Continuity continuity() const {
    return {incarnation_, own_update_id_, registry_.lamport(), learned_, start_, losses_};
  }
  /// This agent has counted nothing yet, or gone on with the same before. False when there is no place for
  /// it.
  bool go_on(const Continuity& continuity);
  /// Whether all changes are kept for the next process of this agent, besides those for other agents.
  /// Counted: for as many as have said so.
  void keep_changes(bool on);
  /// While something is read back from elsewhere, nothing is learned yet.
  void set_restoring(bool restoring) { restoring_ = restoring; }
  bool restoring() const { return restoring_; }
  /// From now on what is heard of origins is kept in each table's relay, though there may be no other agent.
  void keep_heard();
  /// Puts totals up to date that are sent to nobody yet; otherwise a part of `run`. True when some have to
  /// wait.
  bool publish(TimePoint now);
  /// What tables have heard becomes what others can be told of; otherwise a part of `run`.
  void publish_to_relays();
  /// From where a session with the other agent |peer| goes on, if its present one ends now.
  static Fellowship fellowship(const Peer& peer);
  /// Another process has spoken to them in this one's name: neither side can go on from where it was.
  void meet_agents_anew();
  /// The other agent of that name; null when it is not configured.
  Peer* agent(std::string_view name);
  /// The peer of that name, known before a restart and last heard of at |last_seen|, as if only its session
  /// had ended. Null when it is expected no more.
  Peer* recall(std::string_view name, TimePoint last_seen, TimePoint now);
  /// The version of the next change that this agent itself makes to |record|.
  store::Version next_version(const TableRecord& record) {
    return record.replicated ? registry_.next_change() : store::Version{1, ++own_update_id_};
  }

  /// The instance whose origin that is; null when nobody of that name is expected.
  Peer* instance(store::OriginId origin) const;
  /// Whether this agent has all that others could teach it at start, or has waited for it long enough.
  bool learned() const { return learned_; }
  /// It has lost another agent and lacks an origin: it cannot know how far its totals are off.
  bool isolated() const { return isolated_; }
  /// Whether what |peer| counts is all known here, by itself or from another agent.
  bool present(const Peer& peer, TimePoint now) const;
  /// Another agent is home to that origin, and well; |synchronised|: and has all that it has.
  bool held_elsewhere(store::OriginId origin, TimePoint now, bool synchronised = false) const;
  /// Who sends |peer| its totals and marks (DESIGN, "Sessions with instances").
  enum class Publishing : std::uint8_t {
    kHere,
    kElsewhere,
    kNowhere,
    kReplicasOnly,  ///< this agent cannot know the sums, and is the only one that can tell it what is
                    ///< replicated
  };
  static bool sends(Publishing publishing) {
    return publishing == Publishing::kHere || publishing == Publishing::kReplicasOnly;
  }
  Publishing publishing(const Peer& peer, TimePoint now) const;

  /// How many origins are expected, and how many of them are present and synchronised.
  struct Attendance {
    std::uint32_t present = 0;
    std::uint32_t expected = 0;
  };
  Attendance attendance(TimePoint now) const;
  /// How many of those present define the table differently, so that nothing of them is in its totals.
  std::uint32_t left_out(const TableRecord& record, TimePoint now) const;
  /// How many other agents are configured.
  std::size_t agents() const;
  bool expected(const Peer& peer) const { return peer.setup.kind == PeerKind::kHaproxy && !peer.maintenance; }
  /// Takes a configured instance out of the expected ones, or back in. An error says why not.
  Result<void> set_maintenance(std::string_view name, bool on);
  /// Drops an instance that is not configured and away: it is expected no more.
  Result<void> forget(std::string_view name, TimePoint now);
  const Limits& limits() const { return limits_; }
  /// Puts |value| in place of what the config says of a limit, at all agents, or with nothing the config back
  /// in force. An error says why not.
  Result<void> set_limit(std::string_view name, const std::optional<LimitValue>& value);
  /// The same as somebody else, or this agent before a restart, has set it at |changed_at|, if that is newer.
  void learn_limit(std::string_view name, const std::optional<LimitValue>& value, std::uint64_t changed_at);

  /// Called after an operator has changed what outlives a restart, to keep it.
  void on_runtime_changed(std::function<Result<void>()> callback) {
    on_runtime_changed_ = std::move(callback);
  }
  /// Why the last of it was not kept; empty when it was.
  const std::string& runtime_unsaved() const { return runtime_unsaved_; }

  /// Lets |entry| count from 0 again, at every instance. Returns a line for each instance that has counted
  /// it.
  struct Cleared {
    std::string instance;
    bool told;  ///< else it is away, and will be told when it returns
  };
  std::vector<Cleared> clear(TableRecord& record, store::EntryId entry, TimePoint now);

 private:
  friend class PeerLink;
  friend class MeshLink;

  Peer* find(std::string_view name);
  Peer* add_peer(PeerSetup setup, bool configured);
  bool begin_incarnation(std::int64_t second);
  /// Whether |hello| may come in on |link|, and as whom. Closes the session that it replaces.
  Result<Peer*> admit(PeerLink& link, const peers::Hello& hello, TimePoint now);
  Result<void> admit_beside(PeerLink& link, Peer& peer, const peers::Hello& hello, TimePoint now);
  Result<void> admit_agent_beside(Peer& peer, const peers::Hello& hello, TimePoint now);
  /// |peer| dials beside a session that this agent made: in vain, which happens once. Whether it goes on.
  static bool goes_on_crossing(Peer& peer, TimePoint now);
  /// Notes that the process |pid| takes |peer|'s session over, or says why it may not.
  std::optional<std::string> turns_taken(Peer& peer, std::uint64_t pid, bool alive, TimePoint now);
  Result<void> check_names(const PeerLink& link, const peers::Hello& hello, TimePoint now);
  Result<void> check_source(const PeerLink& link, const Peer& peer) const;
  void remember_stranger(const Source& source, const std::string& name, const Error& error, TimePoint now);
  /// Shows |why| where an operator looks: at the peers of that address, or as a stranger.
  void note_nameless(const Source& source, const Error& why, TimePoint now);
  /// |link| has a running session with |peer|, of the process |pid|; true when that is another one than
  /// before.
  bool established(PeerLink& link, Peer& peer, std::uint64_t pid, TimePoint now);
  void ended(PeerLink& link, const Error& why, TimePoint now);
  void update_presence(TimePoint now);
  void update_elsewhere(TimePoint now);
  /// Whether another agent than |peer| is configured, and has no session with this one.
  bool lacks_agent_besides(const Peer& peer) const;
  void set_present(store::OriginId origin, bool present);
  /// Once somebody has come or gone.
  void settle_definitions(TimePoint now);

  /// Another agent speaks of the origin |name|, to which it is |home|. Nothing when there is no place for it.
  std::optional<store::OriginId> instance_elsewhere(std::string_view name, bool home, TimePoint now);
  /// Takes another incarnation if that is ours and has not counted yet: another process had the name.
  void spare_incarnation(std::string_view origin);
  void release_origins();
  /// Whether that origin has to be told of a cleared key once it is here.
  bool owes(store::OriginId origin) const;
  /// Somebody has counted under that generation of the origin; |process| 0: nobody says of which process.
  void learn_generation(store::OriginId origin, std::uint32_t generation, std::uint64_t process);
  /// |peer| is that process.
  void begin_process(Peer& peer, std::uint64_t process);
  /// |peer| has lost what it had; |other_process|: as one that we cannot name.
  void begin_generation(Peer& peer, bool other_process);
  void set_generation(Peer& peer, std::uint32_t generation, std::uint64_t process);
  void agree_on_generation(Peer& peer, TimePoint now);
  /// Says when two hosts have the name of an instance, of which each has a session with another agent.
  void watch_for_namesake(Peer& peer, TimePoint now);
  void relabel(Peer& peer, std::uint32_t generation, std::uint64_t process, TimePoint now);
  /// A name for a process whose pid we are not told.
  std::uint64_t unnamed_process();
  void update_learned(TimePoint now);
  void track();
  bool isolated(TimePoint now) const;
  void forget(std::list<Peer>::iterator peer, TimePoint now);
  void keep_runtime();
  /// Takes the time of the next barrier, and puts it behind all that had arrived by then.
  void keep_marks(bool unpublished, TimePoint now);

  HubSetup setup_;
  Registry& registry_;
  ErrorLog& errors_;
  std::list<Peer> peers_;
  std::list<Stranger> strangers_;
  std::list<PeerLink*> links_;
  std::vector<MeshLink*> fellows_;  ///< the sessions with other agents
  std::vector<Peer*> instances_;    ///< by origin
  std::mt19937_64 random_;
  bool learned_ = false;
  bool isolated_ = false;
  bool presence_changed_ = false;  ///< since definitions were settled
  std::optional<TimePoint> started_;
  store::OriginId own_origin_ = 0;
  std::int64_t incarnation_ = 0;  ///< the Unix second at which it began
  std::uint32_t own_update_id_ = 0;
  std::uint32_t start_ = 0;   ///< as `AgentRow` has it
  std::uint32_t losses_ = 0;  ///< of sessions with other agents
  unsigned keepers_ = 0;      ///< of all changes
  bool keeps_heard_ = false;
  bool restoring_ = false;
  TimePoint last_publish_{};
  std::optional<Mark> barrier_;  ///< waits until all that had arrived at its time is published
  TimePoint next_barrier_{};
  MixingWatch mixing_;
  ServerWatch servers_;
  Limits limits_;
  std::function<void()> wakeup_;
  std::function<void(const Peer&)> on_session_ended_;
  std::function<Result<void>()> on_runtime_changed_;
  std::string runtime_unsaved_;
};

}  // namespace stickmesh::pipeline
