#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/base/printable.h"
#include "spoe/session/session_impl.h"

namespace stickmesh::spoe {

namespace {

/// HAProxy's `spop-check` announces 16380 whatever its buffer, and then refuses an answer above its buffer;
/// no buffer is smaller than this.
constexpr std::size_t kHealthCheckFrameSize = 4096;
constexpr std::size_t kMaxEngineId = 64;
/// Frames between two looks at the clock, at most.
constexpr unsigned kClockInterval = 8;
constexpr Duration kMalformedWindow{60'000};

}  // namespace

void SpoeSession::Impl::take(Bytes in, TimePoint arrived, TimePoint now) {
  time = now;
  until_clock = 0;
  backlog = false;
  take_frames(in, arrived);
  report_late();
}

void SpoeSession::Impl::take_frames(Bytes in, TimePoint arrived) {
  while (open()) {
    if (output.size() >= options.high_water) {
      blocked = true;
      input.hold(in, arrived);
      backlog = !input.empty();
      return;
    }
    const Frame frame = input.next(in, state == State::kHello ? kMaxHelloLength : frame_size, arrived);
    if (frame.status == FrameStatus::kNeedMore) return;
    frame_since.reset();
    if (frame.status == FrameStatus::kFrame) {
      dispatch(frame, input.arrived());
    } else {
      refuse_frame(frame);
    }
  }
}

void SpoeSession::Impl::refuse_with(Status status, Reason reason, std::string detail) {
  end({status, {reason, std::move(detail)}});
}

void SpoeSession::Impl::refuse_frame(const Frame& frame) {
  if (state == State::kHello) {
    // The length is the first four bytes, which show what else was dialled here by mistake.
    std::byte first[kLengthSize];
    encode_frame_length(frame.size, first);
    return refuse_with(frame.status == FrameStatus::kTooLong ? Status::kTooBig : Status::kInvalid,
                       Reason::kBadHello,
                       fmt::format("this is no SPOP: it begins with \"{}\" ({:#010x})",
                                   readable(as_text(first)), frame.size));
  }
  if (frame.status == FrameStatus::kTooLong) {
    return refuse_with(Status::kTooBig, Reason::kMessageTooLong,
                       fmt::format("a frame of {} bytes, {} were negotiated", frame.size, frame_size));
  }
  refuse_with(Status::kInvalid, Reason::kBadFrame,
              fmt::format("a frame of {} bytes that does not hold its header", frame.size));
}

void SpoeSession::Impl::dispatch(const Frame& frame, TimePoint arrived) {
  ++counters.frames_in;
  last_active = time;
  const FrameType type = frame.header.type;
  const auto number = static_cast<unsigned>(type);
  if (state == State::kHello) {
    if (type == FrameType::kHaproxyHello) return take_hello(frame);
    return refuse_with(Status::kInvalid, Reason::kBadHello,
                       fmt::format("the first frame is of type {}, not a HELLO", number));
  }
  switch (type) {
    case FrameType::kNotify:
      return take_notify(frame, arrived);
    case FrameType::kUnset:
      return take_piece(frame);
    case FrameType::kHaproxyDisconnect:
      return take_goodbye(frame);
    case FrameType::kHaproxyHello:
      return refuse_with(Status::kInvalid, Reason::kBadFrame, "a second HELLO");
    case FrameType::kAgentHello:
    case FrameType::kAgentDisconnect:
    case FrameType::kAck:
      return refuse_with(Status::kInvalid, Reason::kBadFrame,
                         fmt::format("a frame of type {}, which only agents send", number));
  }
  ++counters.skipped;
}

void SpoeSession::Impl::take_hello(const Frame& frame) {
  const auto hello = decode_haproxy_hello(frame.header, frame.payload);
  if (!hello) return end(hello.error());
  frame_size =
      static_cast<std::size_t>(std::min<std::uint64_t>(hello->max_frame_size, options.max_frame_size));
  if (hello->health_check) {
    if (handler.draining()) {
      return end({Status::kResource, {Reason::kConnectionLost, "a health check, answered with DISCONNECT"}});
    }
    frame_size = std::min(frame_size, kHealthCheckFrameSize);
  }
  std::vector<std::byte> answer;
  Writer writer(answer);
  encode_agent_hello({static_cast<std::uint32_t>(frame_size), hello->pipelining, options.max_fragmented > 0},
                     writer);
  output.append(answer);
  state = hello->health_check ? State::kHealthCheck : State::kRunning;
  state_since = time;
  if (hello->health_check) return;
  engine_id = readable(hello->engine_id, kMaxEngineId);
  handler.established(*hello, time);
}

void SpoeSession::Impl::take_notify(const Frame& frame, TimePoint arrived) {
  const FrameHeader& header = frame.header;
  if (state == State::kHealthCheck) {
    return refuse_with(Status::kInvalid, Reason::kBadFrame, "an event after a health check");
  }
  // The first stream of a HAProxy 2.6 process has the id 0, whatever its text says.
  if (header.frame_id == 0) {
    return refuse_with(Status::kInvalid, Reason::kBadFrame, "an event whose frame id is 0");
  }
  if (fragments.stage == Fragments::Stage::kOpen) {
    return refuse_with(Status::kInterlaced, Reason::kBadFrame, "an event between the pieces of another");
  }
  close_fragments();
  if (header.aborts()) {
    ++counters.withdrawn;
  } else if (header.fin()) {
    answer(header, frame.payload, arrived);
  } else if (options.max_fragmented == 0) {
    refuse_with(Status::kNoFragmentation, Reason::kBadFrame, "a fragmented event");
  } else {
    open_fragments(frame, arrived);
  }
}

void SpoeSession::Impl::open_fragments(const Frame& frame, TimePoint arrived) {
  fragments.stage = Fragments::Stage::kOpen;
  fragments.stream_id = frame.header.stream_id;
  fragments.frame_id = frame.header.frame_id;
  fragments.since = arrived;
  add_piece(frame.header, frame.payload);
}

void SpoeSession::Impl::take_piece(const Frame& frame) {
  const FrameHeader& header = frame.header;
  if (fragments.stage == Fragments::Stage::kNone) {
    return refuse_with(Status::kInvalid, Reason::kBadFrame, "a piece of an event that has not begun");
  }
  if (header.stream_id != fragments.stream_id || header.frame_id != fragments.frame_id) {
    return refuse_with(Status::kInterlaced, Reason::kBadFrame, "a piece of another event than the one begun");
  }
  if (fragments.stage == Fragments::Stage::kRefused) {
    if (header.fin() || header.aborts()) close_fragments();
    return;
  }
  if (header.aborts()) {
    ++counters.withdrawn;
    return close_fragments();
  }
  add_piece(header, frame.payload);
}

void SpoeSession::Impl::add_piece(const FrameHeader& header, Bytes piece) {
  ++counters.fragments_in;
  if (piece.size() > options.max_fragmented - fragments.payload.size()) {
    ++counters.fragmented_too_long;
    AckWriter ack(output, fragments.stream_id, fragments.frame_id, frame_size, kFin | kAbort);
    ack.set(Scope::kTransaction, kOkVariable, Value::boolean(false));
    ack.finish();
    // Pieces that are on their way, until HAProxy has read this, are of no use any more.
    std::vector<std::byte>().swap(fragments.payload);
    fragments.stage = Fragments::Stage::kRefused;
    if (header.fin()) close_fragments();
    return;
  }
  fragments.payload.insert(fragments.payload.end(), piece.begin(), piece.end());
  if (!header.fin()) return;
  answer({FrameType::kNotify, kFin, fragments.stream_id, fragments.frame_id}, fragments.payload,
         fragments.since);
  close_fragments();
}

void SpoeSession::Impl::close_fragments() {
  if (fragments.stage == Fragments::Stage::kNone) return;
  fragments = {};
  fragments_since.reset();
}

void SpoeSession::Impl::take_goodbye(const Frame& frame) {
  const FrameHeader& header = frame.header;
  if (!header.fin()) {
    return refuse_with(Status::kNoFragmentation, Reason::kBadFrame, "a DISCONNECT without FIN");
  }
  if (header.stream_id != 0 || header.frame_id != 0) {
    return refuse_with(Status::kInvalid, Reason::kBadFrame, "a DISCONNECT whose ids are not 0");
  }
  const Result<Disconnect> goodbye = decode_disconnect(frame.payload);
  if (!goodbye) return end({Status::kInvalid, goodbye.error()});
  // 0, 1 and 2 are how HAProxy 3.0 and before stop, lose a client or close an idle connection.
  const bool routine = goodbye->status <= Status::kTimeout;
  end({Status::kNormal,
       {routine ? Reason::kConnectionLost : Reason::kPeerReportedError,
        fmt::format("HAProxy disconnects with status {} ({}): \"{}\"",
                    static_cast<std::uint32_t>(goodbye->status), status_name(goodbye->status),
                    readable(goodbye->message))}});
}

void SpoeSession::Impl::answer(const FrameHeader& header, Bytes payload, TimePoint arrived) {
  ++counters.events;
  if (in_flight++ == 0) in_flight_since = arrived;
  AckWriter ack(output, header.stream_id, header.frame_id, frame_size);
  bool ok = false;
  std::optional<Error> malformed;
  if (late(arrived)) {
    ++counters.overloaded;
    ++late_events;
  } else if (Result<void> valid = check_notify(payload); !valid) {
    ++counters.malformed;
    malformed = std::move(valid.error());
  } else if (Result<void> handled = ask_handler(payload, ack); !handled) {
    ++counters.failed;
    handler.refused(1, handled.error(), time);
  } else {
    ++counters.answered;
    ok = true;
  }
  if (!ok) {
    ack.clear();
    ack.set(Scope::kTransaction, kOkVariable, Value::boolean(false));
  }
  ack.finish();
  counters.actions_left_out += ack.left_out();
  if (malformed) note_malformed(*malformed);
}

Result<void> SpoeSession::Impl::ask_handler(Bytes payload, AckWriter& ack) {
  ack.set(Scope::kTransaction, kOkVariable, Value::boolean(true));
  Answer answer(ack);
  // No answer at all is worse for HAProxy than any answer, whatever happened here.
  try {
    return handler.notified(MessageReader(payload), answer, time);
  } catch (const std::exception& exception) {
    return refuse(Reason::kSystem, exception.what());
  } catch (...) {
    return refuse(Reason::kSystem, "internal error");
  }
}

void SpoeSession::Impl::note_malformed(const Error& why) {
  handler.refused(1, why, time);
  if (malformed_count == 0 || time - malformed_since >= kMalformedWindow) {
    malformed_since = time;
    malformed_count = 0;
  }
  if (++malformed_count <= options.max_malformed) return;
  refuse_with(
      Status::kInvalid, Reason::kBadMessage,
      fmt::format("{} events within a minute cannot be read; the last: {}", malformed_count, to_string(why)));
}

void SpoeSession::Impl::report_late() {
  if (const std::uint64_t events = std::exchange(late_events, 0); events != 0) {
    handler.refused(events, too_late, time);
  }
}

void SpoeSession::Impl::all_sent() {
  if (const std::uint64_t events = std::exchange(in_flight, 0); events != 0 && options.on_sent) {
    options.on_sent(events, in_flight_since);
  }
}

// A look at the clock for each frame would cost as much as a cheap answer, and one for many would let slow
// answers run late: the interval follows from how long the last ones took.
bool SpoeSession::Impl::late(TimePoint arrived) {
  if (until_clock == 0) {
    const TimePoint before = std::exchange(time, options.clock ? std::max(time, options.clock()) : time);
    clock_interval = time - before >= Duration(1) ? 1 : std::min(2 * clock_interval, kClockInterval);
    until_clock = clock_interval;
  }
  --until_clock;
  return time - arrived >= options.deadline;
}

}  // namespace stickmesh::spoe
