#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/session.h"
#include "agent/peers/session/handler.h"

namespace stickmesh::peers {

enum class Role : std::uint8_t { kAccepting, kDialling };
enum class State : std::uint8_t { kHandshake, kRunning, kClosed };

struct Options {
  Role role = Role::kAccepting;
  std::string local_name;   ///< a hello that calls us otherwise is refused; empty: `Handler::admit` decides
  std::string remote_name;  ///< whom we dial; unused when accepting
  std::uint64_t pid = 0;    ///< ours, for the hello
  unsigned minor = 1;       ///< the protocol version that a dialling side offers: 2.|minor|
  std::size_t max_tables = 100;
  std::size_t max_message = 131072;  ///< longest body taken; HAProxy's `tune.bufsize` bounds what it sends
  std::size_t low_water = 65536;     ///< `Handler::writable` is called when fewer bytes than this are pending
  Duration heartbeat{1000};
  Duration idle_timeout{10000};  ///< three missed heartbeats of HAProxy
  Duration handshake_timeout{5000};
  Duration write_timeout{10000};  ///< nothing could be written for so long
};

struct Traffic {
  std::uint64_t bytes_in = 0, bytes_out = 0;
  std::uint64_t messages_in = 0, updates_in = 0, updates_out = 0, updates_ignored = 0;
  std::uint64_t updates_too_long = 0;  ///< not sent, because HAProxy would wait for their end for ever
  std::uint64_t acks_in = 0, acks_out = 0, heartbeats_in = 0, heartbeats_out = 0, lessons_in = 0,
                lessons_out = 0;
  std::uint64_t resyncs_in = 0, resyncs_out = 0;  ///< requests for a lesson
  TimePoint last_received{};                      ///< the epoch before the first byte
};

/// How far a table of the other side has come in this session; update ids are 0 before the first live one.
struct TableTaken {
  std::string_view name;  ///< valid until the session's next call
  bool taken = false;     ///< else its updates are skipped
  std::uint32_t pushed = 0;
  std::uint32_t acknowledged = 0;
};

/// One connection's side of HAProxy's peers protocol 2.1 (2.0 where the other side speaks it): handshake,
/// liveness, framing, definitions, the dictionary cache, acknowledgements and the bookkeeping of lessons. It
/// knows no table store: what it decodes goes to a |Handler|, which must outlive it, and what is to be sent
/// is handed in encoded.
class PeerSession final : public Session {
 public:
  PeerSession(Options options, Handler& handler, TimePoint now);
  ~PeerSession() override;

  Result<void> receive(Bytes in, TimePoint now) override;
  Bytes pending() const override;
  void sent(std::size_t size, TimePoint now) override;
  std::optional<TimePoint> deadline() const override;
  Result<void> expire(TimePoint now) override;
  bool wants_input() const override;
  void closed(const Error& why, TimePoint now) override;
  const std::optional<Error>& close_reason() const override;

  State state() const;
  Role role() const;
  /// Accepting: what the other side said; dialling: our own view of it, with pid 0.
  const Hello& hello() const;
  /// The status with which the other side answered our hello; 0 before.
  int status() const;
  const Traffic& traffic() const;
  /// The tables that the other side has defined.
  std::vector<TableTaken> tables_taken() const;

  /// Ends the session from outside; pending bytes are still written.
  void close(Error why);

  /// Asks the other side for everything. Updates count as the lesson's until `Handler::lesson_ended`. During
  /// a lesson it asks again at its end, without `lesson_ended` in between.
  void request_lesson(TimePoint now);
  bool learning() const;
  /// Answers a request for a lesson: FINISHED when |complete|, else PARTIAL. Does nothing when none is
  /// unanswered.
  void finish_lesson(bool complete, TimePoint now);
  /// How many tables the other side may define from now on: agents have one for each origin of a table.
  void set_max_tables(std::size_t max_tables);
  /// Makes |table| the one that updates are about; sends its definition unless it is the selected one
  /// already. A `versioned` table's definition is sent once and then only switched to, which agents do all
  /// the time.
  void select(TableId table, const TableDefinition& definition);
  /// Appends one whole message made by `UpdateEncoder`; one above `kMaxSentMessage` is counted and left out.
  void append_update(Bytes message);
  /// Heartbeats after 10 and 250 ms: a connection that HAProxy releases clears the liveness flag of
  /// the one it keeps (peers-protocol 1.6).
  void nudge(TimePoint now);

 private:
  struct Impl;
  /// Has |write| add to the output, and tells the connection if it would not look by itself.
  template <typename Write>
  void append(Write write);

  std::unique_ptr<Impl> impl_;
};

}  // namespace stickmesh::peers
