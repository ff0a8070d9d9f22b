#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "agent/base/session.h"
#include "agent/net/io_watcher.h"
#include "agent/net/loop.h"
#include "agent/net/socket_address.h"
#include "agent/net/timer.h"
#include "agent/net/unique_fd.h"

namespace stickmesh::net {

/// How long the last bytes of a session that is over are offered to the other side: since it last took some,
/// and in all. Without the second, a reader of one byte now and then would keep every session that it has
/// ended.
struct Linger {
  Duration quiet{5000};
  Duration whole{30000};
};

/// Joins a connected socket to the session that speaks its protocol: feeds what arrives, writes what is
/// pending, keeps the deadline. Ends when the session fails or is over, when the socket does, or by
/// `close()`; then the session hears `closed()` once and the owner |on_close| once. The owner answers that by
/// handing this object to `Loop::bury`: it is still at work further up the stack.
class Connection {
 public:
  using OnClose = std::function<void(Connection&, const Error& why)>;

  /// |socket| is connected and non-blocking. The first bytes are written at the end of the wake-up.
  Connection(Loop& loop, UniqueFd socket, const SocketAddress& peer, std::unique_ptr<Session> session,
             OnClose on_close, Linger linger = {});
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  /// A connection that is still open tells its session, not its owner.
  ~Connection();

  Session& session() { return *session_; }
  const SocketAddress& peer() const { return peer_; }
  /// To be passed on to another process, while this object is suspended.
  int fd() const { return socket_.get(); }
  bool is_open() const { return static_cast<bool>(socket_); }
  /// Something was written: what the other side said, if it dialled us, was worth an answer.
  bool answered() const { return answered_; }

  /// Ends it after one more attempt to write. Calls |on_close| before it returns, except from inside a call
  /// of the session, where the end waits until that call has returned.
  void close(Error why);

  /// Neither reads nor writes nor keeps time until `resume`; a `close` waits, too.
  void suspend();
  void resume();

 private:
  struct Written {
    std::size_t size = 0;
    std::optional<Error> failure;
  };

  template <typename Call>
  void drive(Call call) noexcept;
  Result<void> read_some();
  Result<void> keep_time();
  Written write_some();
  void settle(const Result<void>& outcome);
  void arrange(bool progress);
  void finish(const Error& why);
  void tell_session(const Error& why);

  Loop& loop_;
  UniqueFd socket_;
  const SocketAddress peer_;
  const std::unique_ptr<Session> session_;
  const OnClose on_close_;
  const Linger linger_;
  bool in_call_ = false;
  bool suspended_ = false;
  bool answered_ = false;
  std::optional<Error> close_requested_;
  /// While the last bytes of a session that is over are being written: when to stop waiting for the reader.
  std::optional<TimePoint> linger_until_;
  TimePoint linger_end_{};
  IoWatcher readable_;
  IoWatcher writable_;
  Timer timer_;
  Deferred flush_;
};

}  // namespace stickmesh::net
