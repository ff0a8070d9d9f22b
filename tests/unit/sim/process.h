#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/peers/session/session.h"
#include "agent/peers/wire/entry_update.h"
#include "tests/unit/sim/cursor.h"
#include "tests/unit/sim/stick_table.h"

namespace stickmesh::sim {

/// How the peers section of an instance looks: the input table and its total, the instance itself and the
/// agent.
struct Section {
  std::string name;  ///< of the instance
  std::string agent;
  TableDefinition input;
  TableDefinition total;
  std::size_t input_size = 1000;
  std::size_t total_size = 1000;
  std::size_t buffer = 16384;  ///< it goes on when fewer bytes than this wait to be sent
};

/// One HAProxy process, seen from its peers: it dials the agent, pushes, teaches, learns. Knows neither
/// sockets nor a clock; `run` is to be called after everything that happens to it and when `next_run` says.
class Process final : private peers::Handler {
 public:
  enum class Start : std::uint8_t { kCold, kBesideOld };
  enum class Resync : std::uint8_t { kFromLocal, kFromRemote, kFinished };

  Process(const Section& section, std::uint64_t pid, Start start, TimePoint now);

  std::uint64_t pid() const { return pid_; }
  StickTable& input() { return input_; }
  const StickTable& input() const { return input_; }
  StickTable& total() { return total_; }
  const StickTable& total() const { return total_; }
  Resync resync() const { return resync_; }
  /// The agent has taught it all it had when it started with nothing.
  bool restored() const { return restored_; }
  /// Nothing is being taught or learned, and the agent has been told everything.
  bool settled() const;

  /// What its clients do; |open| is a request too. |key| is not counted when the table is full of entries in
  /// use.
  void request(std::string_view key, std::uint32_t times, TimePoint now);
  void open(std::string_view key, TimePoint now);
  void close(std::string_view key, TimePoint now);
  void tag(std::string_view key, std::uint32_t gpt0, TimePoint now);

  /// The protocol side of a connection to the agent that it makes now.
  void dial(TimePoint now);
  peers::PeerSession* session() { return session_.get(); }
  void connection_lost(TimePoint now);

  void run(TimePoint now);
  std::optional<TimePoint> next_run() const;

  /// What has been pushed since the last call, as if it were new. That may be after its end: HAProxy keeps an
  /// entry that is in use, and one that was taught a shorter life than it had.
  struct Pushed {
    std::string key;
    bool past_end;
  };
  std::vector<Pushed> take_pushed() { return std::exchange(pushed_, {}); }
  bool has_pushed() const { return !pushed_.empty(); }

  /// Called with what passes between it and the agent, in words.
  void on_note(std::function<void(std::string)> note) { note_ = std::move(note); }

  /// What the old process of a reload, called by `LocalLesson`, does to the new one.
  void local_lesson_begins();
  void local_update(bool to_input, const StickTable::Entry& entry, TimePoint now);
  void local_lesson_ends();
  void local_lesson_breaks(TimePoint now);

 private:
  enum class Teacher : std::uint8_t { kNone, kLocal, kRemote };
  enum class Lesson : std::uint8_t { kNone, kTeaching, kAwaitsConfirm };

  Result<void> admit(const peers::Hello&, TimePoint) override { return {}; }
  void established(TimePoint now) override;
  std::optional<std::uint32_t> table_defined(const TableDefinition& definition, TimePoint now) override;
  void updated(std::uint32_t handle, const peers::Update& update, TimePoint now) override;
  void lesson_requested(TimePoint now) override;
  void lesson_ended(bool complete, TimePoint now) override;
  void lesson_confirmed(TimePoint now) override;
  void acknowledged(peers::TableId table, std::uint32_t update_id, TimePoint now) override;
  void writable(TimePoint) override {}

  bool connected() const;
  bool has_room() const;
  void check_resync(TimePoint now);
  void send(TimePoint now);
  bool push(std::size_t index, TimePoint now);
  bool teach(std::size_t index, TimePoint now);
  void select(std::size_t index);
  void send_entry(const StickTable& table, const StickTable::Entry& entry, bool timed, TimePoint now);

  const Section* section_;
  std::uint64_t pid_;
  StickTable input_;
  StickTable total_;
  /// In HAProxy's order: the table that was declared first has the highest number, and its turn comes last at
  /// first.
  std::array<Cursor, 2> cursors_;
  std::size_t last_selected_ = 0;
  std::unique_ptr<peers::PeerSession> session_;
  peers::UpdateEncoder encoder_;

  struct Defined {
    StickTable* table;
    TableDefinition definition;
  };
  std::vector<Defined> defined_;  ///< by the agent, by handle

  Resync resync_;
  bool old_process_;
  TimePoint resync_end_;
  Teacher teacher_ = Teacher::kNone;
  bool lesson_asked_ = false;
  bool agent_not_up_to_date_ = false;
  bool restored_ = false;
  std::vector<Pushed> pushed_;
  Lesson lesson_ = Lesson::kNone;
  std::function<void(std::string)> note_;
};

}  // namespace stickmesh::sim
