#pragma once

#include <optional>
#include <string>

#include "spoe/session/assembler.h"
#include "spoe/session/session.h"
#include "spoe/wire/buffer.h"
#include "spoe/wire/disconnect.h"

namespace stickmesh::spoe {

/// The state of a session. frames.cc is about what comes in, closing.cc about the end and the time limits.
struct SpoeSession::Impl {
  Impl(Options session_options, Handler& session_handler, TimePoint now);

  /// Handles what is kept, then |in|, which came at |arrived|; keeps what it must not handle yet.
  void take(Bytes in, TimePoint arrived, TimePoint now);
  bool open() const { return state < State::kClosing; }

  /// Says DISCONNECT and waits for the other side to close.
  void end(const Refusal& refusal);
  /// It is over, at once.
  void finish(Error why);
  /// Starts and stops the clocks after each call.
  void observe(TimePoint now);
  std::optional<TimePoint> next_deadline() const;
  Result<void> check_time(TimePoint now);
  void all_sent();
  /// Nothing is unread, unhandled, unfinished or unsent.
  bool quiet(std::size_t unread) const;

  Options options;
  const Error too_late;
  Handler& handler;
  State state = State::kHello;
  std::size_t frame_size = 0;
  std::string engine_id;
  Counters counters;
  std::optional<Error> ended;
  std::optional<Error> close_reason;

  Assembler input;
  Fragments fragments;
  Buffer output;
  std::uint64_t in_flight = 0;  ///< events whose answers are in |output|
  TimePoint in_flight_since{};  ///< when the first of them began to arrive
  bool blocked = false;         ///< output is not taken: nothing is handled until it is
  bool backlog = false;         ///< |input| may hold whole frames
  bool draining = false;

  TimePoint state_since;                     ///< of kHello and kHealthCheck
  TimePoint last_active;                     ///< an event came or its answer left
  TimePoint newest_arrival{};                ///< of what was received last
  std::optional<TimePoint> frame_since;      ///< a frame's end is waited for
  std::optional<TimePoint> fragments_since;  ///< likewise of a fragmented one
  std::optional<TimePoint> unsent_since;     ///< output waits
  std::optional<TimePoint> linger_until;     ///< of kClosing

 private:
  void take_frames(Bytes in, TimePoint arrived);
  void dispatch(const Frame& frame, TimePoint arrived);
  void take_hello(const Frame& frame);
  void take_notify(const Frame& frame, TimePoint arrived);
  void take_piece(const Frame& frame);
  void take_goodbye(const Frame& frame);
  void open_fragments(const Frame& frame, TimePoint arrived);
  void add_piece(const FrameHeader& header, Bytes piece);
  void close_fragments();

  void answer(const FrameHeader& header, Bytes payload, TimePoint arrived);
  Result<void> ask_handler(Bytes payload, AckWriter& ack);
  void note_malformed(const Error& why);
  void report_late();
  bool late(TimePoint arrived);
  void refuse_frame(const Frame& frame);
  void refuse_with(Status status, Reason reason, std::string detail);

  TimePoint time{};  ///< as far as known while frames are handled
  unsigned until_clock = 0, clock_interval = 1;
  TimePoint malformed_since{};
  std::uint32_t malformed_count = 0;
  std::uint64_t late_events = 0;  ///< not reported yet
};

}  // namespace stickmesh::spoe
