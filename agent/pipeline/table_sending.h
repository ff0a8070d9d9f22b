#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "agent/peers/session/session.h"
#include "agent/pipeline/peer.h"
#include "agent/pipeline/progress.h"
#include "agent/pipeline/registry.h"

namespace stickmesh::pipeline {

/// Tells one session what this agent holds: everything in a lesson, then the changes, in the order of the
/// relays. Only the newest state of a contribution waits for a slow receiver.
class TableSending {
 public:
  /// More than this pending, and the rest waits until something was sent.
  static constexpr std::size_t kHighWater = std::size_t{256} * 1024;

  enum class To : std::uint8_t {
    kAgent,      ///< another agent: changes that it was not told by their home are none of ours
    kSuccessor,  ///< our own next process: all of it
  };
  /// The session's tables are numbered from |first_table| on.
  TableSending(Registry& registry, peers::PeerSession& session, peers::TableId first_table, To to)
      : registry_(registry),
        session_(session),
        first_table_(first_table),
        next_table_(first_table),
        to_(to) {}

  /// To be called before anything is sent. True when a table was defined anew since the last time.
  bool look_for_tables();
  /// Of everything, or of what has changed since the other had |taken| all.
  void begin_lesson(const Fellowship::Taken* taken = nullptr);
  /// Both go on until the buffer is full, or so much was looked at that the loop is due; true at the end.
  bool send_lesson(TimePoint now);
  bool send_changes(TimePoint now);

  /// Contributions that wait.
  std::uint64_t backlog() const;
  std::size_t tables() const { return next_table_ - first_table_; }
  /// The other side has taken all of that table up to this update.
  void acknowledged(peers::TableId table, std::uint32_t update_id);
  /// The other side has taken the last lesson.
  void lesson_confirmed();
  /// How far it has taken everything; nothing before a lesson was confirmed.
  std::optional<Fellowship::Taken> taken() const;
  void add_progress(std::vector<TableProgress>& all) const;

 private:
  struct Outgoing {
    peers::TableId number = 0;
    std::uint32_t types = 0;
    std::uint32_t layout_number = 0;
    TableDefinition definition;
    std::uint32_t pushed = 0;  ///< the last live update
  };
  /// How far one of our tables has been told.
  struct Sending {
    TableRecord* record = nullptr;
    std::uint64_t cursor = 0;
    std::uint32_t redefinitions = 0;
    std::uint64_t lesson_end = 0;                          ///< what the last lesson has told of the feed
    std::uint64_t confirmed = 0;                           ///< the same of the last that was confirmed
    std::unordered_map<std::uint32_t, Outgoing> outgoing;  ///< by origin and writer
  };

  static std::uint64_t backlog(const Sending& sending);
  std::uint64_t taken(const Sending& sending) const;
  bool send_all(TimePoint now);
  bool send_changes(Sending& sending, TimePoint now);
  void send(Sending& sending, store::ContributionId contribution, std::uint64_t sequence, TimePoint now);

  Registry& registry_;
  peers::PeerSession& session_;
  const peers::TableId first_table_;
  peers::TableId next_table_;
  const To to_;
  std::vector<Sending> sending_;
  std::size_t tables_known_ = 0;
  std::uint32_t reuses_ = 0;                 ///< of origins' ids, when what is kept by them was made
  std::vector<std::uint32_t> acknowledged_;  ///< by table
  bool in_lesson_ = false;
  bool only_changes_ = false;  ///< are in the lesson
  bool confirmed_ = false;     ///< a lesson was
  bool unconfirmed_ = false;   ///< the last one is not yet
  std::size_t lesson_table_ = 0;
  store::EntryId lesson_entry_ = 0;
};

}  // namespace stickmesh::pipeline
