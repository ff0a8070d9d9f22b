#pragma once

#include <map>
#include <optional>
#include <string>

#include "agent/peers/session/assembler.h"
#include "agent/peers/session/learner.h"
#include "agent/peers/session/liveness.h"
#include "agent/peers/session/output_buffer.h"
#include "agent/peers/session/session.h"

namespace stickmesh::peers {

/// The state of a session. handshake.cc has its first phase, messages.cc the second.
struct PeerSession::Impl {
  Impl(Options session_options, Handler& session_handler, TimePoint now);

  /// Takes the part of |in| that belongs to the handshake.
  Result<void> take_greeting(Bytes& in, TimePoint now);
  Result<void> take_messages(Bytes in, TimePoint now);

  /// Ends the session; the first reason stays.
  void fail(Error why);
  bool running() const { return state == State::kRunning; }
  bool blocked() const;
  void observe(TimePoint now) { liveness.observe(!output.empty(), blocked(), now); }
  void send(ControlType type);

  Options options;
  Handler& handler;
  State state = State::kHandshake;
  Hello hello;
  int status = 0;
  Traffic traffic;
  std::optional<Error> close_reason;

  std::string greeting;  ///< what came before the handshake was complete
  Assembler assembler;
  OutputBuffer output;
  Learner learner;
  Liveness liveness;

  TableId selected = 0;  ///< table that our updates are about, as |selected_definition| told the other side
  TableDefinition selected_definition;
  std::map<TableId, TableDefinition> versioned;  ///< those that the other side knows
  bool lesson_asked = false;                     ///< the other side waits for FINISHED or PARTIAL
  bool confirm_awaited = false;                  ///< we have sent one
  bool inside = false;  ///< in a call of the connection, which looks at the output after it

 private:
  Result<void> take_hello(std::size_t& taken, TimePoint now);
  Result<void> take_status(std::size_t& taken);
  void establish(TimePoint now);

  Result<void> dispatch(const Message& message, TimePoint now);
  void take_control(ControlType type, TimePoint now);
  void take_lesson_end(bool complete, TimePoint now);
  Result<void> take_table_message(TableType type, Bytes body, TimePoint now);
};

}  // namespace stickmesh::peers
