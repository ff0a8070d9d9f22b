#pragma once

#include <functional>
#include <optional>
#include <span>

#include "agent/base/bytes.h"
#include "agent/base/result.h"
#include "agent/base/time.h"

namespace stickmesh {

/// What every protocol's state machine offers to the connection that drives it. A session knows no socket, no
/// clock and no loop. All calls come from the loop's thread.
class Session {
 public:
  Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  virtual ~Session() = default;

  /// Takes bytes in any fragmentation. An error is final: write what is pending, then close.
  virtual Result<void> receive(Bytes in, TimePoint now) = 0;
  /// Bytes to write; valid until the next non-const call.
  virtual Bytes pending() const = 0;
  /// |size| of the pending bytes have reached the kernel.
  virtual void sent(std::size_t size, TimePoint now) = 0;
  /// When `expire()` is due next; nothing when no timer runs.
  virtual std::optional<TimePoint> deadline() const = 0;
  /// To be called at or after `deadline()`. An error is final, as in `receive`.
  virtual Result<void> expire(TimePoint now) = 0;
  /// False asks the connection to stop reading until something was sent.
  virtual bool wants_input() const = 0;
  /// Whether bytes that were written can have been an answer to what the other side said, and not only a part
  /// of a handshake that anybody is given.
  virtual bool answers() const { return true; }
  /// The connection is gone, for |why|. Called exactly once, last.
  virtual void closed(const Error& why, TimePoint now) = 0;

  /// The connection sets this. A session calls it when bytes became pending, when `deadline()` moved or when
  /// it wants to be closed (`close_reason`) outside the calls above.
  void set_wakeup(std::function<void()> wakeup) { wakeup_ = std::move(wakeup); }
  /// The connection sets this too: how many bytes have arrived and were not handed in yet.
  void set_unread(std::function<std::size_t()> unread) { unread_ = std::move(unread); }
  /// And this: how long ago the newest bytes have arrived, as far as the system tells: a process that was
  /// held up finds them waiting.
  void set_waited(std::function<Duration()> waited) { waited_ = std::move(waited); }
  /// Set when the session is over for a reason of its own: write what is pending, then close.
  virtual const std::optional<Error>& close_reason() const = 0;

 protected:
  void wake() const {
    if (wakeup_) wakeup_();
  }
  std::size_t unread() const { return unread_ ? unread_() : 0; }
  Duration waited() const { return waited_ ? waited_() : Duration{}; }

 private:
  std::function<void()> wakeup_;
  std::function<std::size_t()> unread_;
  std::function<Duration()> waited_;
};

}  // namespace stickmesh
