#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/daemon/redis_inlet.h"
#include "agent/daemon/redis_link.h"
#include "agent/net/backoff.h"
#include "agent/net/timer.h"
#include "agent/pipeline/hub.h"
#include "agent/redis/mirror.h"
#include "agent/redis/walk.h"

namespace stickmesh::daemon {

/// Keeps a connection with one server that takes writes, and its mirror at work: dials when there is none,
/// less and less often while it fails.
class RedisNode final : private redis::SessionUser {
 public:
  class Owner {
   public:
    Owner() = default;
    Owner(const Owner&) = delete;
    Owner& operator=(const Owner&) = delete;
    virtual ~Owner() = default;

    /// To have `dial` called, now or later.
    virtual void wants_address(RedisNode& node) = 0;
    /// Whether it is good for what is wanted of it.
    virtual Result<void> check(const redis::Server& server) = 0;
    /// It is dialled again soon, whatever this does.
    virtual void failed(RedisNode& node, const Error& why) = 0;
    /// One command was refused; the connection goes on.
    virtual void refused(std::string_view error) = 0;
    /// What it has kept was read.
    virtual void read_back(RedisNode& node) = 0;
    /// What others have written there for the agents cannot be read; it is tried again soon.
    virtual void inlet_failed(RedisNode& node, const Error& why) = 0;
    /// Replies were taken, or commands sent: the mirror may want something.
    virtual void settled(RedisNode& node) = 0;
  };

  /// All must outlive it. |intake| is null when nothing is accepted.
  RedisNode(net::Loop& loop, pipeline::Hub& hub, const RedisAccess& access,
            const redis::Mirror::Options& options, redis::Intake* intake, const net::SocketAddress& address,
            Owner& owner);

  void start();
  void stop();
  /// Once for each `wants_address`.
  void dial(const net::SocketAddress& address);
  /// The same, if there is none.
  void no_address(const Error& why) { failed(why); }
  /// What it has kept is read before it is written to.
  void read_first(redis::Walk walk) { walk_ = std::move(walk); }
  bool reads() const { return walk_.has_value(); }
  /// It is not waited for any more.
  void give_up_reading(std::string_view why);
  /// Each flush interval.
  void flush();
  /// Something more is there to be written.
  void wake() { slice_.schedule(); }

  /// It has slots that it had not.
  void slots_gained() {
    if (inlet_) inlet_->read_all();
  }
  /// Null when nothing is accepted.
  const RedisInlet* inlet() const { return inlet_ ? &*inlet_ : nullptr; }

  redis::Mirror& mirror() { return mirror_; }
  const redis::Mirror& mirror() const { return mirror_; }
  const net::SocketAddress& address() const { return address_; }
  bool ready() const { return ready_; }
  /// The last attempt or connection has failed, and none has been ready since.
  bool failing() const { return failing_; }
  const redis::Server& server() const { return server_; }
  std::uint64_t in_flight() const { return link_.session() != nullptr ? link_.session()->in_flight() : 0; }
  std::uint64_t connections() const { return connections_; }
  std::string_view state() const;

 private:
  void failed(const Error& why);
  void fill();
  void begin_mirror(TimePoint now);

  void ready(const redis::Server& server, TimePoint now) override;
  Result<void> replied(const redis::Reply& reply, TimePoint now) override;
  void settled(TimePoint now) override;
  void ended(const Error& why, TimePoint now) override;

  net::Loop& loop_;
  net::SocketAddress address_;  ///< with sentinels, of the last master that they have named
  Owner& owner_;
  redis::Mirror mirror_;
  std::optional<redis::Walk> walk_;  ///< until it is over
  redis::Server server_;
  bool stopped_ = true;
  bool ready_ = false;
  bool failing_ = false;
  bool mirroring_ = false;  ///< of the session, the replies are the mirror's
  TimePoint ready_since_{};
  std::uint64_t connections_ = 0;
  net::Backoff backoff_;
  net::Timer dial_timer_;
  net::Deferred slice_;
  std::optional<RedisInlet> inlet_;
  RedisLink link_;  ///< last: it ends within the others
};

}  // namespace stickmesh::daemon
