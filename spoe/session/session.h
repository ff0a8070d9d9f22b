#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "agent/base/session.h"
#include "spoe/session/handler.h"
#include "spoe/session/state.h"

namespace stickmesh::spoe {

/// The variable, in the scope of the transaction, that every answer sets: whether the event was dealt with.
inline constexpr std::string_view kOkVariable = "ok";

/// The agent's side of one connection of HAProxy's SPOP 2.0: HELLO, events and their answers, fragments,
/// DISCONNECT, time limits. It knows no messages and no tables: events go to a |Handler|, which must outlive
/// it and answers at once.
///
/// Each event is answered exactly once, in order, on this connection, with at least the variable `ok`. All
/// answers of a call are pending in one piece.
///
/// What must end the connection is answered with a DISCONNECT, after which input is dropped until HAProxy
/// closes or `Options::linger` is over, so that no reset destroys what we said last. `ended` tells why from
/// then on, `close_reason` when time is up.
class SpoeSession final : public Session {
 public:
  SpoeSession(Options options, Handler& handler, TimePoint now);
  /// Goes on where another process has stopped.
  SpoeSession(Options options, Handler& handler, SavedSession saved, TimePoint now);
  ~SpoeSession() override;

  /// Events are as old as what `set_waited` says of |in|: what a process finds that was held up is late.
  Result<void> receive(Bytes in, TimePoint now) override;
  Bytes pending() const override;
  void sent(std::size_t size, TimePoint now) override;
  std::optional<TimePoint> deadline() const override;
  Result<void> expire(TimePoint now) override;
  bool wants_input() const override;
  void closed(const Error& why, TimePoint now) override;
  const std::optional<Error>& close_reason() const override;

  State state() const;
  /// What HAProxy calls its engine, without control characters; empty before HELLO and for health checks.
  const std::string& engine_id() const;
  /// As negotiated; 0 before HELLO.
  std::size_t frame_size() const;
  const Counters& counters() const;
  /// Events whose answers the socket has not taken, or not known to have taken all of.
  std::uint64_t in_flight() const;
  /// Why the connection ends or has ended.
  const std::optional<Error>& ended() const;

  /// Soft stop: serves on, and closes with DISCONNECT 0 once it is idle. A connection that never is stays
  /// open: HAProxy would lose what it sends at that moment.
  void drain(TimePoint now);
  /// The end of the soft stop's patience: DISCONNECT, with status 13 unless it is idle, because HAProxy 3.5
  /// lets requests wait after a 0.
  void disconnect(TimePoint now);

  /// For a soft restart, after which this session must only be destroyed. Nothing when it is about to end
  /// anyway.
  std::optional<SavedSession> export_state() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stickmesh::spoe
