#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/pipeline/hub.h"
#include "agent/pipeline/mesh_row.h"
#include "agent/pipeline/progress.h"
#include "agent/pipeline/relayed_inputs.h"
#include "agent/pipeline/table_sending.h"

namespace stickmesh::pipeline {

/// One session with another agent joined to the tables: contributions go both ways with their versions, and
/// rows that say who is home to whom. Owned by the peer's link, which hands on what its session decodes.
class MeshLink {
 public:
  MeshLink(Hub& hub, peers::PeerSession& session, Peer& peer);
  ~MeshLink();
  MeshLink(const MeshLink&) = delete;
  MeshLink& operator=(const MeshLink&) = delete;

  void established(TimePoint now);
  std::optional<std::uint32_t> table_defined(const TableDefinition& definition, TimePoint now);
  void updated(std::uint32_t handle, const peers::Update& update, TimePoint now);
  void lesson_requested(TimePoint now);
  void lesson_ended(bool complete, TimePoint now);
  void lesson_confirmed() { sending_.lesson_confirmed(); }
  void acknowledged(peers::TableId table, std::uint32_t update_id);
  /// Notes from where another session can go on; when this one is the peer's no more.
  void interrupted();
  /// As another session would go on from this moment.
  Fellowship fellowship() const;
  /// The session is over; to be called once, last.
  void ended(TimePoint now);

  /// Sends what the other agent has not got yet, until its buffer is full; later work of lessons.
  void run(TimePoint now);
  /// When `run` has to be called without any other cause.
  std::optional<TimePoint> next_run() const;

  const Peer& peer() const { return peer_; }
  /// All that it had heard until |limit| ago is in our tables.
  bool fresh(TimePoint now, Duration limit) const;
  /// It has said something that only an agent says.
  bool speaks() const { return agent_.number != 0; }
  bool learned() const { return agent_.learned; }
  /// What it has last said of an instance.
  const OriginRow* row(store::OriginId origin) const {
    return origin < rows_.size() && rows_[origin] ? &*rows_[origin] : nullptr;
  }
  /// It has nothing to teach us any more: it gave all that it has, or had itself not learned yet.
  bool taught_us() const { return taught_ || (answered_ && speaks() && !agent_.learned); }
  bool synchronised() const { return taught_; }
  /// What this side has last asked for, and the other.
  enum class Lesson : std::uint8_t { kNone, kEverything, kNotAcknowledged };
  Lesson learns() const { return lesson(asked_.has_value(), goes_on_); }
  Lesson teaches() const { return lesson(began_, teaches_rest_); }
  /// Whether it speaks of that origin in this session.
  bool names(store::OriginId origin) const;
  /// Contributions that wait.
  std::uint64_t backlog() const { return sending_.backlog(); }
  /// What does not fit between the two agents, in words; empty when all is well.
  const std::string& problem() const { return problem_; }
  std::size_t tables_in() const { return inputs_.size(); }
  std::size_t tables_out() const { return sending_.tables(); }
  std::vector<TableProgress> progress() const;

 private:
  static constexpr peers::TableId kRowTable = 1;
  static constexpr peers::TableId kFirstTable = 2;
  /// The handle of the other agent's rows; those of its other tables are of |inputs_|.
  static constexpr std::uint32_t kRows = 0xffffffff;

  /// Asks for a lesson: of everything, or of what has come since the other was last interrupted.
  void ask(TimePoint now, bool goes_on);
  void ask_if_needed(TimePoint now);
  static Lesson lesson(bool any, bool rest) {
    return !any ? Lesson::kNone : rest ? Lesson::kNotAcknowledged : Lesson::kEverything;
  }
  Fellowship::Taught its_state() const;
  /// As `AgentRow` has it.
  std::uint32_t losses() const;
  /// Of this agent.
  RulesRow rules_row() const;
  void take_row(const peers::Update& update, TimePoint now);
  void take_agent_row(const std::string& name, const AgentRow& row);
  void take_rules_row(const std::string& name, const RulesRow& row, TimePoint now);
  void take_limit_row(const std::string& name, const LimitRow& row, TimePoint now);
  /// False, and the session is over, when the row is not of that agent itself.
  bool its_own_row(const std::string& name);
  void compare_totals(store::OriginId origin, TimePoint now);
  bool has_published(store::OriginId origin, const OriginRow& row) const;
  void take_origin_row(const std::string& name, const OriginRow& row, TimePoint now);
  bool may_say(const RelayedInput& input, const peers::Update& update) const;
  static bool within_bounds(const peers::VersionField& version);
  bool may_be_read(const RelayedInput& input, const peers::VersionField& version) const;
  void adopt(RelayedInput& input, const peers::Update& update, TimePoint now);
  /// Another agent let the key count from 0 again, and the instance is ours to tell.
  bool clear_here(const RelayedInput& input, store::EntryId entry, const peers::Update& update,
                  TimePoint now);
  void complain(const Error& error, TimePoint now);
  void refuse_it(Reason reason, std::string detail);

  void begin_lesson();
  void send_rows();
  void send_limits();
  /// |behind|: all that was heard until now is sent.
  void send_agent_row(TimePoint now, bool behind);
  void send_row(std::string_view key, const MeshCells& cells);
  OriginRow row_of(const Peer* home, store::OriginId origin) const;

  Hub& hub_;
  peers::PeerSession& session_;
  Peer& peer_;

  std::string problem_;
  RelayedInputs inputs_;
  AgentRow agent_;
  std::vector<std::optional<OriginRow>> rows_;  ///< by origin
  std::set<store::OriginId> had_home_;          ///< instances that it was home to in this session
  std::deque<std::pair<std::uint32_t, TimePoint>> numbers_;  ///< of our rows that were not returned yet
  std::optional<TimePoint> current_;
  bool taught_ = false;
  bool answered_ = false;  ///< it has ended a lesson, completely or not
  /// What it was when it was last asked for a lesson, and whether that goes on from an earlier one.
  std::optional<Fellowship::Taught> asked_;
  bool goes_on_ = false;
  std::optional<TimePoint> ask_again_;
  bool blocked_ = false;  ///< the buffer was full at the last `run`

  TableSending sending_;
  std::uint32_t reuses_ = 0;                    ///< of origins' ids, when |told_| was made
  std::vector<std::optional<OriginRow>> told_;  ///< by origin
  std::uint32_t row_id_ = 0;
  std::uint32_t row_acknowledged_ = 0;
  std::uint32_t number_ = 0;
  std::uint32_t losses_told_ = 0;
  std::optional<std::uint32_t> limits_told_;  ///< `Limits::changes` by then
  TimePoint next_row_{};
  peers::UpdateEncoder encoder_;

  bool lesson_asked_ = false;
  bool in_lesson_ = false;
  bool began_ = false;  ///< a lesson
  bool teaches_rest_ = false;
};

}  // namespace stickmesh::pipeline
