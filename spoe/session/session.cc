#include "spoe/session/session.h"

#include <fmt/format.h>

#include <utility>

#include "agent/base/table_definition.h"
#include "spoe/session/session_impl.h"

namespace stickmesh::spoe {

SpoeSession::Impl::Impl(Options session_options, Handler& session_handler, TimePoint now)
    : options(std::move(session_options)),
      too_late{Reason::kOverload, fmt::format("answered without a decision: [spoe] deadline = {} was over",
                                              describe(options.deadline))},
      handler(session_handler),
      state_since(now),
      last_active(now) {}

SpoeSession::SpoeSession(Options options, Handler& handler, TimePoint now)
    : impl_(std::make_unique<Impl>(std::move(options), handler, now)) {}

SpoeSession::SpoeSession(Options options, Handler& handler, SavedSession saved, TimePoint now)
    : SpoeSession(std::move(options), handler, now) {
  Impl& session = *impl_;
  session.state = saved.state;
  session.frame_size = saved.frame_size;
  session.engine_id = std::move(saved.engine_id);
  session.counters = saved.counters;
  session.fragments = std::move(saved.fragments);
  session.input.hold(saved.input, saved.input_since);
  session.output.append(saved.output);
  // The other process may have stopped reading because its output was not taken.
  session.backlog = !session.input.empty();
  session.blocked = session.output.size() >= session.options.high_water;
  session.observe(now);
}

SpoeSession::~SpoeSession() = default;

Result<void> SpoeSession::receive(Bytes in, TimePoint now) {
  Impl& session = *impl_;
  session.counters.bytes_in += in.size();
  // Nothing can be late that came after a read that is not long ago: the system is seldom asked.
  const bool recent = now - session.newest_arrival < session.options.deadline;
  session.newest_arrival = recent ? now : now - waited();
  if (session.open()) session.take(in, session.newest_arrival, now);
  session.observe(now);
  if (session.state == State::kClosed) return tl::unexpected(*session.close_reason);
  return {};
}

Bytes SpoeSession::pending() const {
  return impl_->output.pending();
}

void SpoeSession::sent(std::size_t size, TimePoint now) {
  Impl& session = *impl_;
  session.output.consume(size);
  session.counters.bytes_out += size;
  if (size > 0) {
    session.unsent_since.reset();
    session.last_active = now;
  }
  if (session.output.empty()) session.all_sent();
  if (session.blocked && session.output.size() <= session.options.high_water / 2) {
    session.blocked = false;
    if (session.open() && session.backlog) session.take({}, now, now);
  }
  session.observe(now);
}

std::optional<TimePoint> SpoeSession::deadline() const {
  return impl_->next_deadline();
}

Result<void> SpoeSession::expire(TimePoint now) {
  Impl& session = *impl_;
  if (session.open() && session.backlog && !session.blocked) session.take({}, now, now);
  if (session.draining && session.state == State::kRunning &&
      now >= session.last_active + session.options.drain_idle) {
    if (session.quiet(unread())) {
      session.end({Status::kNormal, {Reason::kConnectionLost, "idle at the soft stop of this agent"}});
    } else {
      session.last_active = now;
    }
  }
  Result<void> in_time = session.check_time(now);
  session.observe(now);
  return in_time;
}

bool SpoeSession::wants_input() const {
  return impl_->state != State::kClosed && !impl_->blocked;
}

void SpoeSession::closed(const Error& why, TimePoint /*now*/) {
  impl_->finish(why);
  impl_->output.release();
}

const std::optional<Error>& SpoeSession::close_reason() const {
  return impl_->close_reason;
}

State SpoeSession::state() const {
  return impl_->state;
}
const std::string& SpoeSession::engine_id() const {
  return impl_->engine_id;
}
std::size_t SpoeSession::frame_size() const {
  return impl_->frame_size;
}
const Counters& SpoeSession::counters() const {
  return impl_->counters;
}
std::uint64_t SpoeSession::in_flight() const {
  return impl_->in_flight;
}
const std::optional<Error>& SpoeSession::ended() const {
  return impl_->ended;
}

void SpoeSession::drain(TimePoint now) {
  impl_->draining = true;
  impl_->observe(now);
  wake();
}

void SpoeSession::disconnect(TimePoint now) {
  Impl& session = *impl_;
  if (!session.open()) return;
  const bool idle = session.quiet(unread()) && now >= session.last_active + session.options.drain_idle;
  session.end({idle ? Status::kNormal : Status::kResource,
               {Reason::kConnectionLost, idle ? "this agent stops" : "this agent stops, while in use"}});
  session.observe(now);
  wake();
}

std::optional<SavedSession> SpoeSession::export_state() const {
  const Impl& session = *impl_;
  if (!session.open()) return std::nullopt;
  SavedSession saved;
  saved.state = session.state;
  saved.frame_size = session.frame_size;
  saved.engine_id = session.engine_id;
  saved.input.assign(session.input.kept().begin(), session.input.kept().end());
  if (!saved.input.empty()) saved.input_since = session.input.since();
  saved.output.assign(pending().begin(), pending().end());
  saved.fragments = session.fragments;
  saved.counters = session.counters;
  return saved;
}

}  // namespace stickmesh::spoe
