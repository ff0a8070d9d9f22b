#include "agent/peers/session/session.h"

#include <utility>

#include "agent/peers/session/session_impl.h"

namespace stickmesh::peers {

namespace {

/// More pending output than this stops the reading: whoever asks must also take the answers.
constexpr std::size_t kMaxPending = std::size_t{1024} * 1024;

class Inside {
 public:
  explicit Inside(bool& flag) : flag_(flag), before_(std::exchange(flag, true)) {}
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  ~Inside() { flag_ = before_; }

 private:
  bool& flag_;
  bool before_;
};

}  // namespace

PeerSession::Impl::Impl(Options session_options, Handler& session_handler, TimePoint now)
    : options(std::move(session_options)),
      handler(session_handler),
      assembler(options.max_message),
      learner(handler, traffic, options.max_tables),
      liveness({options.heartbeat, options.idle_timeout, options.handshake_timeout, options.write_timeout},
               now) {
  if (options.role == Role::kAccepting) return;
  hello = {options.minor, options.local_name, options.remote_name, 0};
  output.append(
      as_bytes(encode_hello({options.minor, options.remote_name, options.local_name, options.pid})));
}

void PeerSession::Impl::fail(Error why) {
  state = State::kClosed;
  if (!close_reason) close_reason = std::move(why);
}

bool PeerSession::Impl::blocked() const {
  return output.size() >= kMaxPending;
}

void PeerSession::Impl::send(ControlType type) {
  if (!running()) return;
  if (type == ControlType::kResyncRequest) ++traffic.resyncs_out;
  Writer writer = output.writer();
  encode_control(type, writer);
}

PeerSession::PeerSession(Options options, Handler& handler, TimePoint now)
    : impl_(std::make_unique<Impl>(std::move(options), handler, now)) {}

PeerSession::~PeerSession() = default;

Result<void> PeerSession::receive(Bytes in, TimePoint now) {
  Impl& session = *impl_;
  const Inside inside(session.inside);
  if (!in.empty()) {
    session.traffic.bytes_in += in.size();
    session.traffic.last_received = now;
    session.liveness.received(now);
  }
  Result<void> taken;
  if (session.state == State::kHandshake) taken = session.take_greeting(in, now);
  if (taken && session.running()) taken = session.take_messages(in, now);
  if (!taken) session.fail(taken.error());
  session.observe(now);
  if (session.state == State::kClosed) return tl::unexpected(*session.close_reason);
  return {};
}

Bytes PeerSession::pending() const {
  return impl_->output.pending();
}

void PeerSession::sent(std::size_t size, TimePoint now) {
  Impl& session = *impl_;
  const Inside inside(session.inside);
  session.output.consume(size);
  session.traffic.bytes_out += size;
  if (size > 0) session.liveness.progressed(now);
  if (session.running() && session.output.size() < session.options.low_water) session.handler.writable(now);
  session.observe(now);
}

std::optional<TimePoint> PeerSession::deadline() const {
  if (impl_->state == State::kClosed) return std::nullopt;
  return impl_->liveness.deadline();
}

Result<void> PeerSession::expire(TimePoint now) {
  Impl& session = *impl_;
  const Inside inside(session.inside);
  session.observe(now);
  if (session.state != State::kClosed) {
    if (Result<void> alive = session.liveness.check(now); !alive) session.fail(alive.error());
  }
  if (session.state == State::kClosed) return tl::unexpected(*session.close_reason);
  // Behind that much output a heartbeat would come too late to help, and they must not pile up.
  if (session.liveness.take_heartbeat(now) && session.output.size() < session.options.low_water) {
    session.send(ControlType::kHeartbeat);
    ++session.traffic.heartbeats_out;
  }
  session.observe(now);
  return {};
}

bool PeerSession::wants_input() const {
  return impl_->state != State::kClosed && !impl_->blocked();
}

void PeerSession::closed(const Error& why, TimePoint /*now*/) {
  impl_->fail(why);
  impl_->output.consume(impl_->output.size());
}

const std::optional<Error>& PeerSession::close_reason() const {
  return impl_->close_reason;
}

State PeerSession::state() const {
  return impl_->state;
}
Role PeerSession::role() const {
  return impl_->options.role;
}
const Hello& PeerSession::hello() const {
  return impl_->hello;
}
int PeerSession::status() const {
  return impl_->status;
}
const Traffic& PeerSession::traffic() const {
  return impl_->traffic;
}
std::vector<TableTaken> PeerSession::tables_taken() const {
  return impl_->learner.tables_taken();
}

void PeerSession::close(Error why) {
  if (impl_->state == State::kClosed) return;
  impl_->fail(std::move(why));
  if (!impl_->inside) wake();
}

template <typename Write>
void PeerSession::append(Write write) {
  const bool was_empty = impl_->output.empty();
  write(*impl_);
  // The connection writes as long as something is pending: only the first bytes are news.
  if (was_empty && !impl_->inside) wake();
}

bool PeerSession::learning() const {
  return impl_->learner.learning();
}

void PeerSession::request_lesson(TimePoint now) {
  if (!impl_->running() || !impl_->learner.start_lesson()) return;
  append([](Impl& session) { session.send(ControlType::kResyncRequest); });
  impl_->observe(now);
}

void PeerSession::finish_lesson(bool complete, TimePoint now) {
  if (!impl_->running() || !impl_->lesson_asked) return;
  impl_->lesson_asked = false;
  impl_->confirm_awaited = true;
  ++impl_->traffic.lessons_out;
  append([complete](Impl& session) {
    session.send(complete ? ControlType::kResyncFinished : ControlType::kResyncPartial);
  });
  impl_->observe(now);
}

void PeerSession::select(TableId table, const TableDefinition& definition) {
  if (!impl_->running()) return;
  if (impl_->selected == table && impl_->selected_definition == definition) return;
  impl_->selected = table;
  impl_->selected_definition = definition;
  append([&](Impl& session) {
    Writer writer = session.output.writer();
    if (definition.versioned) {
      const auto [known, fresh] = session.versioned.try_emplace(table);
      if (!fresh && known->second == definition) return encode_switch(table, writer);
      known->second = definition;
    }
    encode_definition(table, definition, writer);
  });
}

void PeerSession::set_max_tables(std::size_t max_tables) {
  impl_->learner.set_max_tables(max_tables);
}

void PeerSession::append_update(Bytes message) {
  if (!impl_->running()) return;
  if (message.size() > kMaxSentMessage) {
    ++impl_->traffic.updates_too_long;
    return;
  }
  ++impl_->traffic.updates_out;
  append([message](Impl& session) { session.output.append(message); });
}

void PeerSession::nudge(TimePoint now) {
  if (!impl_->running()) return;
  impl_->liveness.nudge(now);
  if (!impl_->inside) wake();
}

}  // namespace stickmesh::peers
