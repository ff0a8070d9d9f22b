#include <algorithm>
#include <utility>
#include <vector>

#include "spoe/session/session_impl.h"

namespace stickmesh::spoe {

void SpoeSession::Impl::end(const Refusal& refusal) {
  if (!open()) return;
  const std::string_view detail = refusal.error.detail;
  const bool silent = refusal.status == Status::kNormal || detail.empty();
  std::vector<std::byte> frame;
  Writer writer(frame);
  encode_agent_disconnect(refusal.status, silent ? status_name(refusal.status) : detail, writer);
  output.append(frame);
  state = State::kClosing;
  ended = refusal.error;
  blocked = backlog = false;
  input.clear();
  fragments = {};
}

void SpoeSession::Impl::finish(Error why) {
  if (!ended) ended = std::move(why);
  if (!close_reason) close_reason = ended;
  state = State::kClosed;
  input.clear();
  fragments = {};
}

void SpoeSession::Impl::observe(TimePoint now) {
  if (output.empty()) {
    unsent_since.reset();
  } else if (!unsent_since) {
    unsent_since = now;
  }
  if (state == State::kClosing && !linger_until) linger_until = now + options.linger;
  // While nothing is read because output waits, the other side cannot finish what it has begun.
  const bool reading = open() && !blocked;
  if (!reading || input.empty()) {
    frame_since.reset();
  } else if (!frame_since) {
    frame_since = now;
  }
  if (!reading || fragments.stage != Fragments::Stage::kOpen) {
    fragments_since.reset();
  } else if (!fragments_since) {
    fragments_since = now;
  }
}

std::optional<TimePoint> SpoeSession::Impl::next_deadline() const {
  if (state == State::kClosed) return std::nullopt;
  if (state == State::kClosing) return linger_until;
  std::optional<TimePoint> next;
  const auto consider = [&next](TimePoint when) { next = next ? std::min(*next, when) : when; };
  // Of a session that came from another process: its input may be complete.
  if (backlog && !blocked) consider(input.since());
  if (state == State::kHello) consider(state_since + options.hello_timeout);
  if (state == State::kHealthCheck) consider(state_since + options.check_timeout);
  if (frame_since) consider(*frame_since + options.frame_timeout);
  if (fragments_since) consider(*fragments_since + options.frame_timeout);
  if (unsent_since) consider(*unsent_since + options.write_timeout);
  if (draining && state == State::kRunning) consider(last_active + options.drain_idle);
  return next;
}

Result<void> SpoeSession::Impl::check_time(TimePoint now) {
  if (state == State::kClosed) return tl::unexpected(*close_reason);
  const auto over = [this](Reason reason, std::string detail) -> Result<void> {
    finish({reason, std::move(detail)});
    return tl::unexpected(*close_reason);
  };
  if (state == State::kClosing) {
    if (!linger_until || now < *linger_until) return {};
    finish(*ended);
    return tl::unexpected(*close_reason);
  }
  if (unsent_since && now >= *unsent_since + options.write_timeout) {
    return over(Reason::kNotReading, "HAProxy does not read its answers");
  }
  if (state == State::kHealthCheck && now >= state_since + options.check_timeout) {
    return over(Reason::kConnectionLost, "a health check that was answered");
  }
  if (state == State::kHello && now >= state_since + options.hello_timeout) {
    // Nothing is said to who said nothing: it may be a check of the port alone.
    if (counters.bytes_in == 0) return over(Reason::kHandshakeTimeout, "no HELLO came");
    end({Status::kTimeout, {Reason::kHandshakeTimeout, "no complete HELLO came"}});
    return {};
  }
  if ((frame_since && now >= *frame_since + options.frame_timeout) ||
      (fragments_since && now >= *fragments_since + options.frame_timeout)) {
    end({Status::kTimeout, {Reason::kFrameTimeout, "the end of a frame did not come"}});
  }
  return {};
}

bool SpoeSession::Impl::quiet(std::size_t unread) const {
  return unread == 0 && input.empty() && output.empty() && fragments.stage == Fragments::Stage::kNone;
}

}  // namespace stickmesh::spoe
