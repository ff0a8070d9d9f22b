#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/peers/session/session.h"
#include "agent/pipeline/peer.h"
#include "agent/pipeline/progress.h"
#include "agent/pipeline/registry.h"

namespace stickmesh::pipeline {

/// A total or a replicated table that an instance gets. Its number on the wire is its index plus one.
struct Subscription {
  TableDefinition announced;
  TableRecord* record = nullptr;
  std::optional<ShapeId> shape;  ///< nothing while the definitions do not fit
  std::string problem;           ///< why they do not
  std::uint32_t layout_number = 0;
  std::uint64_t cursor = 0;
  std::uint64_t sent = 0;     ///< the furthest that |cursor| has been in this session
  std::uint64_t written = 0;  ///< the last that was sent: the instance's own words are passed over
  std::uint64_t acknowledged = 0;
  std::uint64_t arrived = 0;  ///< what is known to have arrived
  /// Numbers up to this one were used before a rewind, too: an acknowledgement of one does not say which of
  /// the two has arrived.
  std::uint64_t used_until = 0;
  std::uint64_t everything_until = 0;  ///< up to here also what the instance itself wrote
  std::uint64_t lesson_end = 0;        ///< where the lesson that we give ends
  std::deque<std::uint64_t> followed;  ///< places at which the feed stood lately, oldest first
  /// What a lesson of the instance says of its own table of ours: entries that it must have and that it has
  /// shown; nothing while some are on their way.
  std::optional<std::size_t> taught;
  std::size_t shown = 0;
  std::size_t audited = 0;  ///< entries when that was last compared
  std::uint64_t created_asked =
      0;                           ///< how many entries there had ever been when the last audit was asked for
  std::uint64_t created_then = 0;  ///< the same of the last audit that was complete
  std::string shortage;            ///< what was found then; empty when it has all
};

/// What a mark says, and of which moment.
struct Mark {
  TimePoint time;             ///< everything received until then is in the totals
  std::int64_t until = 0;     ///< Unix second
  std::uint32_t present = 0;  ///< expected origins that are there and synchronised
  std::uint32_t expected = 0;
};

/// What one instance gets: the totals that it has announced, each a cursor into its table's change feed, and
/// the barriers behind which marks are sent. Owned by the link, whose session it writes to.
class Subscriptions {
 public:
  using Complain = std::function<void(const Error&)>;

  Subscriptions(Registry& registry, peers::PeerSession& session, Complain complain)
      : registry_(registry), session_(session), complain_(std::move(complain)) {}
  Subscriptions(const Subscriptions&) = delete;
  Subscriptions& operator=(const Subscriptions&) = delete;
  ~Subscriptions() {
    for (Subscription& subscription : subscriptions_) release_shape(subscription);
  }

  /// The session is up; |resume|: with the process that acknowledged what |peer| remembers.
  void begin(Peer& peer, bool resume);
  /// The instance has a table by that name of an output. Returns the subscription, if there is an input.
  std::optional<std::size_t> announced(const TableDefinition& definition);
  void acknowledged(peers::TableId table, std::uint32_t update_id);

  /// Another agent sends: what there is counts as sent by it. Its last |steps| places are remembered, one
  /// more when that is not 0.
  void follow(std::size_t steps);
  /// That agent has stopped: goes on from the oldest place that is remembered.
  void take_over();
  /// The next lesson is compared entry by entry, and all is sent again where some are missing.
  void compare_all() { took_over_ = true; }
  /// Whether that lesson is still to come: something was under way when the last one was asked for.
  bool compares() const { return took_over_; }

  /// Everything again, from the first entry on: the beginning of a lesson.
  void rewind();
  /// Whether all that the lesson had to tell has been sent.
  bool lesson_given() const;

  struct Kinds {
    bool totals = false;
    bool replicated = false;  ///< not before it is known what the instance has changed meanwhile
  };
  /// Sends of these kinds until |backlog| bytes are pending. True when nothing is left.
  bool send(std::size_t backlog, Kinds kinds, TimePoint now);
  /// Whether the state of |entry| that was last published may still be on its way to the instance.
  bool in_flight(const TableRecord& record, store::EntryId entry) const;
  /// Whether what the instance says of an entry is something else than we hold, though it has acknowledged
  /// that.
  bool has_another(const TableRecord& record, const peers::Update& update, TimePoint now) const;

  /// A lesson was asked for, and has ended: a table that is full or `nopurge` takes updates and has no place
  /// for them.
  void lesson_asked(bool audit);
  /// What the instance says of an entry of one of our tables, in a lesson or because it changed it. What is
  /// not what it was sent is published anew.
  void shown(std::size_t index, const peers::Update& update, TimePoint now);
  void lesson_complete(bool audit);
  /// Whether so much was sent since that a lesson is worth its cost.
  bool audit_due() const;

  /// Puts a barrier behind all that waits at this moment.
  void place_barrier(const Mark& mark);
  /// The newest mark whose barrier has been passed since the last call, and how many of the subscriptions it
  /// is about: those that came later wait for the next.
  struct Passed {
    Mark mark;
    std::size_t subscriptions;
  };
  std::optional<Passed> take_passed(TimePoint now);

  const std::vector<Subscription>& all() const { return subscriptions_; }
  /// Entries that wait.
  std::uint64_t backlog() const;
  void add_progress(std::vector<TableProgress>& all) const;

 private:
  struct Barrier {
    Mark mark;
    struct Place {
      std::uint64_t sequence;
      std::uint64_t compactions;
    };
    std::vector<Place> places;  ///< by subscription
  };

  void subscribe();
  void shape(Subscription& subscription);
  static void release_shape(Subscription& subscription);
  void start_over(Subscription& subscription, std::uint64_t from = 0);
  const Subscription* find(const TableRecord& record) const;
  static bool has_another(const Subscription& subscription, store::EntryId entry, const peers::Update& update,
                          TimePoint now);
  static std::uint64_t backlog(const Subscription& subscription);
  /// Everything has been sent and acknowledged.
  static bool settled(const Subscription& subscription);
  bool send(Subscription& subscription, std::size_t backlog, TimePoint now);
  bool held_by_barrier(std::size_t index, std::uint64_t sequence, std::uint64_t newest) const;
  enum class Standing : std::uint8_t { kWaiting, kPassed, kVoid };
  Standing standing(const Barrier& barrier) const;

  Registry& registry_;
  peers::PeerSession& session_;
  Complain complain_;
  Peer* peer_ = nullptr;
  bool resume_ = false;
  bool took_over_ = false;  ///< the lesson that comes shows what the other agent had sent
  std::map<std::string, TableDefinition> awaited_;  ///< announced, but nobody has defined the input yet
  std::uint64_t outputs_number_ = 0;
  std::vector<Subscription> subscriptions_;
  std::deque<Barrier> barriers_;  ///< oldest first
};

}  // namespace stickmesh::pipeline
