#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/recent_times.h"
#include "agent/pipeline/hub.h"
#include "agent/redis/cluster_words.h"
#include "agent/redis/entry_fields.h"
#include "agent/redis/session.h"
#include "agent/redis/slots.h"
#include "agent/redis/waiting.h"
#include "agent/snapshot/encoder.h"

namespace stickmesh::redis {

/// Writes the tables' entries to Redis, behind everything else (DESIGN, "Redis"). It is a reader of each
/// table's feed, like an instance that gets its total: an entry that changes a thousand times before it is
/// its turn is written once, in its newest state, and while Redis is away nothing is kept for it but a place
/// in the feed.
///
/// What this agent has heard of origins goes there as well, to be restored from, if that is wanted: each
/// contribution as a snapshot of its own (`Restore`). What other agents have heard is theirs to write.
///
/// Who subscribes to PREFIX:changes:TABLE is told of each write, if that is wanted: the msgpack array [key,
/// map of the fields, or nil of an entry that was cleared].
///
/// Each entry is one hash, written by HSET and PEXPIRE, or removed by DEL once it was cleared. The hash
/// PREFIX:tables has the definition of each table, in haproxy.cfg's words, and PREFIX:agents the name of each
/// agent: that its own is gone is how an agent knows that Redis was flushed. A server that is not the one
/// from before, or is it after a restart, is written anew.
///
/// A cluster has a mirror for each of its masters, which reads the same feeds and writes what is in its slots
/// (`assign`). So a master that is away holds up nothing but its own, and a slot that moves costs no queue:
/// the mirror that gets it goes on from the place in the feed that the other had confirmed (`take_over`).
class Mirror {
 public:
  struct Options {
    std::string prefix;
    bool contributions = true;  ///< to be restored from
    bool publish = false;       ///< each write, on the channel PREFIX:changes:TABLE
  };
  /// |hub| must outlive it. What it mirrors is what the hub's rules say.
  Mirror(pipeline::Hub& hub, Options options);
  /// Follows the tables that there are. To be called each flush interval, whether Redis is there or not.
  void follow(TimePoint now);

  /// A session with |server| begins.
  void begin(const Server& server, TimePoint now);
  /// Sends some of what has changed, as far as a bounded number of commands in flight permits, and no longer
  /// than the loop can bear. To be called each flush interval, and again while it `can_go_on`.
  void fill(RedisSession& session, TimePoint now);
  /// Of the oldest command. An error is what stops everything.
  Result<void> replied(const Reply& reply, TimePoint now);
  /// The session has ended: what it has not confirmed is sent again in the next one.
  void ended();

  /// Of a cluster: only what is in |slots| is written from now on.
  void assign(const SlotSet& slots);
  /// Some of its slots were |previous|'s until now, with what that has had confirmed; null: nothing is known
  /// of what they hold.
  void take_over(const Mirror* previous);
  /// A server has said that some of its slots are another's: nothing is written until `assign`.
  bool misplaced() const { return misplaced_; }

  /// Whether the server has |key|, as far as is known.
  bool mine(std::string_view key) const { return !slots_ || slots_->test(slot_of(key)); }

  /// An entry, or a contribution, that another master has to be given.
  struct Stray {
    pipeline::TableRecord* record;
    std::uint32_t id;
    bool contribution;
    bool once;         ///< the key's slot is only moving there, to |to|
    Redirection to{};  ///< nothing: whoever has the key
    std::string key;
  };
  /// The oldest of those; null if there is none.
  const Stray* stray() const { return strays_.empty() ? nullptr : &strays_.front(); }
  void drop_stray() { strays_.pop_front(); }
  /// Takes another's, to be written in its turn. However long the server is away, each waits here once.
  void adopt(const Stray& stray);
  /// Some of those are not confirmed yet.
  bool has_adopted() const;
  /// It will not write any more: what it has adopted are strays.
  void leave();

  /// Whether the last `fill` has left something that can be sent now.
  bool can_go_on(const RedisSession& session) const { return more_ && has_room(session); }

  struct Standing {
    std::uint64_t behind = 0;  ///< changes of entries that Redis has not confirmed, at most
    std::uint64_t contributions_behind = 0;
    Duration behind_for{0};  ///< how long the oldest of them waits
    std::uint64_t written = 0;
    std::uint64_t removed = 0;
    std::uint64_t refused = 0;    ///< entries that Redis did not take
    std::uint64_t rewritten = 0;  ///< how often everything was written anew
    std::uint64_t per_second = 0;
  };
  Standing standing(TimePoint now) const;

 private:
  struct Table {
    Table(pipeline::TableRecord& of, std::string_view prefix);

    pipeline::TableRecord* record;
    std::string channel;
    EntryKeys keys;
    EntryFields fields;
    std::optional<TableDefinition> listed;  ///< as Redis has it
    std::uint64_t sent = 0;                 ///< sequence numbers of the feed
    std::uint64_t confirmed = 0;
    std::uint64_t contributions_sent = 0;  ///< of the relay's feed
    std::uint64_t contributions_confirmed = 0;
    std::size_t unanswered = 0;  ///< commands in flight
    /// The feed's end at some time, until it is confirmed.
    std::uint64_t mark = 0;
    TimePoint marked{};
  };
  enum class What : std::uint8_t {
    kFields,
    kLife,
    kRemoval,
    kRoom,
    kNews,
    kContribution,
    kDefinition,
    kList,
    kMark,
    kMarker,
    kAsking
  };
  /// How something is written outside of the feeds, where its place is confirmed already.
  struct Retry {
    bool blocked = false;  ///< something else is at its key
    bool asking = false;   ///< its slot is only moving to this server
  };
  struct Retried {
    Table* table;
    std::uint32_t id;
    bool contribution;
    auto operator<=>(const Retried&) const = default;
  };
  /// A command without a reply.
  struct Sent {
    Table* table;
    What what;
    std::uint32_t id;                ///< of the entry or the contribution
    std::uint64_t sequence;          ///< of one of the feeds, confirmed by its reply; 0: nothing is
    std::optional<Retry> retried{};  ///< nothing: by a feed
  };

  void look_for_tables();
  Table* find(const pipeline::TableRecord& record);
  const Table* find(const pipeline::TableRecord& record) const;
  void choose_marker();
  void redirected(const Redirection& to, TimePoint now);
  void go_back(Table& table, std::uint64_t confirmed, std::uint64_t contributions_confirmed);
  void stray(const Retried& what, const Redirection& to);
  void wait(const Retried& what, const Retry& how);
  void retry(RedisSession& session, const Retried& what, const Retry& how, TimePoint now);
  std::string key_of(Table& table, std::uint32_t id, bool contribution) const;
  void look_for_a_flush(RedisSession& session, TimePoint now);
  void define(RedisSession& session, Table& table, TimePoint now);
  bool fill_all(RedisSession& session, TimePoint now);
  /// False once enough is in flight.
  bool fill(RedisSession& session, Table& table, TimePoint now);
  bool fill_contributions(RedisSession& session, Table& table, TimePoint now);
  bool fill_retries(RedisSession& session, TimePoint now);
  bool has_room(const RedisSession& session) const;
  /// Whether one more entry may be sent in this `fill`, which it then counts.
  bool take_turn(const RedisSession& session);
  void publish(RedisSession& session, Table& table, store::EntryId entry, std::span<const std::string> fields,
               TimePoint now);
  void write(RedisSession& session, Table& table, store::EntryId entry, std::uint64_t sequence,
             TimePoint now);
  void write_contribution(RedisSession& session, Table& table, store::ContributionId id,
                          std::uint64_t sequence, TimePoint now);
  void note(const Sent& sent);
  void send(RedisSession& session, std::span<const std::string_view> words, const Sent& sent, TimePoint now);
  void send(RedisSession& session, std::initializer_list<std::string_view> words, const Sent& sent,
            TimePoint now);
  void start_over();
  static std::uint64_t behind(const Table& table);

  pipeline::Hub& hub_;
  const Options options_;
  const std::string list_;    ///< PREFIX:tables
  const std::string agents_;  ///< PREFIX:agents
  std::string marker_;        ///< the same, or of a cluster one like it in a slot of the server
  snapshot::Encoder encoder_;
  std::string run_;  ///< of the server that has what was confirmed
  std::list<Table> tables_;
  std::uint64_t outputs_number_ = ~std::uint64_t{0};
  std::deque<Sent> in_flight_;
  Waiting<Retried, Retry> retries_;
  std::deque<Stray> strays_;
  std::optional<SlotSet> slots_;  ///< nothing: all
  bool misplaced_ = false;
  std::optional<Retry> retrying_;  ///< what each command is part of
  std::vector<std::string_view> words_;
  std::vector<char> news_;
  std::size_t turns_ = 0;  ///< left in this `fill`
  bool more_ = false;
  std::size_t round_ = 0;  ///< of `fill`: whose turn it is to be first
  bool checking_ = false;
  bool marked_ = false;      ///< Redis has this agent's marker
  std::int64_t listed_ = 0;  ///< how many tables the list had when it is checked
  std::string foreign_;      ///< one of our keys that is no hash
  TimePoint checked_{};
  Standing counted_;
  RecentTimes writes_;
};

}  // namespace stickmesh::redis
