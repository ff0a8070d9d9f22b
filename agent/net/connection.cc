#include "agent/net/connection.h"

#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>

#include "agent/net/guard.h"

namespace stickmesh::net {

namespace {

/// Written per call at most, give or take one write: a reader that keeps up with a long answer must not keep
/// the loop.
constexpr std::size_t kWriteBudget = 65536;

Error lost(int error) {
  return {Reason::kConnectionLost, std::strerror(error)};
}

// Short enough not to allocate: memory may be what is missing.
Error internal_error(const char* what) {
  log_exception("a connection", what);
  return {Reason::kSystem, "internal error"};
}

}  // namespace

Connection::Connection(Loop& loop, UniqueFd socket, const SocketAddress& peer,
                       std::unique_ptr<Session> session, OnClose on_close, Linger linger)
    : loop_(loop),
      socket_(std::move(socket)),
      peer_(peer),
      session_(std::move(session)),
      on_close_(std::move(on_close)),
      linger_(linger),
      readable_(loop, Ready::kToRead, [this] { drive([this] { return read_some(); }); }),
      writable_(loop, Ready::kToWrite, [this] { drive([] { return Result<void>(); }); }),
      timer_(loop, [this] { drive([this] { return keep_time(); }); }),
      flush_(loop, [this] { drive([] { return Result<void>(); }); }) {
  // Messages are put together by the sessions: the kernel waiting for more would only add delay.
  const int on = 1;
  if (peer_.is_ip()) ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  session_->set_wakeup([this] {
    if (!in_call_ && !suspended_ && socket_) flush_.schedule();
  });
  session_->set_unread([this] {
    int size = 0;
    return socket_ && ::ioctl(socket_.get(), FIONREAD, &size) == 0 ? static_cast<std::size_t>(size) : 0;
  });
  session_->set_waited([this] {
    tcp_info info{};
    socklen_t size = sizeof info;
    const bool told =
        socket_ && peer_.is_ip() && ::getsockopt(socket_.get(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0;
    return Duration(told ? info.tcpi_last_data_recv : 0);
  });
  flush_.schedule();
}

Connection::~Connection() {
  if (!socket_) return;
  in_call_ = true;
  tell_session({Reason::kConnectionLost, "dropped by this agent"});
}

void Connection::close(Error why) {
  if (!socket_) return;
  if (!close_requested_) close_requested_ = std::move(why);
  if (!in_call_) drive([] { return Result<void>(); });
}

void Connection::suspend() {
  suspended_ = true;
  readable_.stop();
  writable_.stop();
  timer_.stop();
  flush_.cancel();
}

void Connection::resume() {
  suspended_ = false;
  if (socket_) flush_.schedule();
}

// Every call of the session comes through here, and whatever it changed is seen to afterwards.
template <typename Call>
void Connection::drive(Call call) noexcept {
  if (!socket_ || in_call_ || suspended_) return;
  in_call_ = true;
  try {
    settle(call());
  } catch (const std::exception& exception) {
    finish(internal_error(exception.what()));
  } catch (...) {
    finish(internal_error("not a std::exception"));
  }
  in_call_ = false;
}

// One buffer per readiness, so that no peer starves the others: what is left makes the socket ready again.
Result<void> Connection::read_some() {
  const std::span<std::byte> buffer = loop_.read_buffer();
  const ssize_t size = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
  if (size > 0) return session_->receive(buffer.first(static_cast<std::size_t>(size)), loop_.now());
  if (size == 0) return refuse(Reason::kConnectionLost, "closed by the other side");
  const int error = errno;
  if (error == EAGAIN || error == EINTR) return {};
  return tl::unexpected(lost(error));
}

Result<void> Connection::keep_time() {
  if (linger_until_ && *linger_until_ <= loop_.now()) {
    return refuse(Reason::kNotReading, "the last bytes were not taken");
  }
  // The timer is left alone when the deadline moves later, which it does with every message.
  const std::optional<TimePoint> deadline = session_->deadline();
  if (!deadline || loop_.now() < *deadline) return {};
  return session_->expire(loop_.now());
}

Connection::Written Connection::write_some() {
  Written written;
  while (written.size < kWriteBudget) {
    const Bytes pending = session_->pending();
    if (pending.empty()) break;
    const ssize_t size = ::send(socket_.get(), pending.data(), pending.size(), MSG_NOSIGNAL);
    if (size < 0) {
      const int error = errno;
      if (error == EINTR) continue;
      if (error != EAGAIN) written.failure = lost(error);
      break;
    }
    const auto count = static_cast<std::size_t>(size);
    const bool partial = count < pending.size();
    written.size += count;
    session_->sent(count, loop_.now());
    if (session_->answers()) answered_ = true;
    if (partial) break;
  }
  return written;
}

void Connection::settle(const Result<void>& outcome) {
  const Written written = write_some();
  if (!outcome) return finish(outcome.error());
  if (close_requested_) return finish(Error(*close_requested_));
  if (const std::optional<Error>& reason = session_->close_reason()) {
    // A session that is over is closed for its own reason, even when its last bytes found no reader.
    if (written.failure || session_->pending().empty()) return finish(Error(*reason));
  }
  if (written.failure) return finish(*written.failure);
  arrange(written.size > 0);
}

void Connection::arrange(bool progress) {
  const bool over = session_->close_reason().has_value();
  if (over && !linger_until_) linger_end_ = loop_.now() + linger_.whole;
  if (over && (progress || !linger_until_)) {
    linger_until_ = std::min(loop_.now() + linger_.quiet, linger_end_);
  }

  if (!over && session_->wants_input()) {
    readable_.start(socket_.get());
  } else {
    readable_.stop();
  }
  if (session_->pending().empty()) {
    writable_.stop();
  } else {
    writable_.start(socket_.get());
  }
  std::optional<TimePoint> next = session_->deadline();
  if (linger_until_) next = next ? std::min(*next, *linger_until_) : *linger_until_;
  if (!next) {
    timer_.stop();
  } else if (!timer_.active() || *next < timer_.when()) {
    timer_.set(*next);
  }
}

void Connection::finish(const Error& why) {
  if (!socket_) return;
  readable_.stop();
  writable_.stop();
  timer_.stop();
  flush_.cancel();
  // Closing with unread input makes the kernel send a reset, which can overtake the last bytes that were
  // written.
  const std::span<std::byte> buffer = loop_.read_buffer();
  ::shutdown(socket_.get(), SHUT_WR);
  (void)::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  socket_.reset();
  tell_session(why);
  guarded("the end of a connection", [&] { on_close_(*this, why); });
}

void Connection::tell_session(const Error& why) {
  session_->set_wakeup({});
  session_->set_unread({});
  session_->set_waited({});
  guarded("the end of a session", [&] { session_->closed(why, loop_.now()); });
}

}  // namespace stickmesh::net
