#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/base/result.h"
#include "agent/peers/session/dictionary.h"
#include "agent/peers/session/handler.h"
#include "agent/peers/session/session.h"
#include "agent/peers/wire/message.h"

namespace stickmesh::peers {

/// The receiving half of a session: the other side's tables, their updates, the acknowledgements that we owe
/// and the lesson that we asked for. Everything in it dies with the connection, as the protocol demands.
class Learner {
 public:
  Learner(Handler& handler, Traffic& traffic, std::size_t max_tables)
      : handler_(handler), traffic_(traffic), max_tables_(max_tables) {}

  void set_max_tables(std::size_t max_tables) { max_tables_ = max_tables; }
  /// The other side speaks 2.0: its lessons are not told by their updates' being timed.
  void expect_untimed_lessons() { untimed_lessons_ = true; }

  /// Each takes a message's body. An error is the other side's and ends the session.
  Result<void> define(Bytes body, TimePoint now);
  Result<void> select(Bytes body);
  Result<void> update(TableType type, Bytes body, TimePoint now);

  /// Appends an acknowledgement for each table of which live updates were handed on since the last call.
  void write_acks(Writer out);

  std::vector<TableTaken> tables_taken() const;
  bool learning() const { return learning_; }
  /// Whether a request for a lesson is to be sent now. During a lesson it is not, but when that has ended:
  /// the other side would take our confirmation of the first for one of the second, and break that off.
  bool start_lesson();

  enum class LessonEnd : std::uint8_t { kUnasked, kEnded, kRestart };
  /// The other side says that its lesson is over, which is to be confirmed in any case.
  LessonEnd end_lesson();

 private:
  struct Table {
    TableId id = 0;               ///< 0 while another table has its number
    std::vector<std::byte> wire;  ///< the definition's body, unless it has an unusual size
    TableDefinition definition;
    std::size_t cell_count = 0;
    std::size_t change_count = 0;  ///< of `versioned` tables
    std::optional<std::size_t> server_key_cell;
    std::optional<std::uint32_t> handle;  ///< nothing: updates are skipped
    std::uint32_t last_id = 0;            ///< what implicit numbers count from
    std::uint32_t live_id = 0;            ///< last one that may be acknowledged
    std::uint32_t acked_id = 0;           ///< since the last lesson
    std::uint32_t told_id = 0;            ///< the last one that was acknowledged
    bool ack_due = false;
  };

  Result<std::size_t> bind(Bytes body);
  Result<std::size_t> table_named(const std::string& name);
  /// Turns a slot of the dictionary into the name it stands for.
  std::string_view resolve_server_key(const Table& table, const ServerKeyField& field);

  Handler& handler_;
  Traffic& traffic_;
  std::size_t max_tables_;
  bool untimed_lessons_ = false;
  bool learning_ = false;
  bool restart_ = false;

  std::vector<Table> tables_;
  std::unordered_map<std::string, std::size_t> by_name_;
  std::unordered_map<TableId, std::size_t> by_id_;
  std::optional<std::size_t> selected_;
  std::vector<std::size_t> acks_due_;
  Dictionary dictionary_;
  std::vector<std::uint64_t> cells_;
  std::vector<std::uint64_t> changes_;
};

}  // namespace stickmesh::peers
