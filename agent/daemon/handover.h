#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/admin/soft_restart.h"
#include "agent/base/error_log.h"
#include "agent/daemon/spoe_sockets.h"
#include "agent/net/connection.h"
#include "agent/net/descriptor_channel.h"
#include "agent/net/loop.h"
#include "agent/net/signal.h"
#include "agent/net/timer.h"
#include "agent/pipeline/hub.h"
#include "agent/pipeline/succession.h"

namespace stickmesh::daemon {

/// The old process of a soft restart (DESIGN, "Start, soft restart, crash"): starts the new one, teaches it
/// while work goes on, freezes for the switch, and is done once the new one serves. Whatever goes wrong
/// before leaves this process in charge.
///
/// The two talk in messages of a `net::DescriptorChannel`:
///
///     old: state VERSION ACTIVATED NAME
///                      of this exchange; how many of the listeners are the service manager's; the agent's
///                      name; with a file of what is no contribution, and the listeners
///     new: learned     it has all that was there, and opened all that it needs
///     old: sockets     some connections with HAProxy's SPOE filter, and how far they are; none, one or more
///     old: switch SIZE the file once more, and how many bytes the lesson and the changes have
///     new: ready
///     old: go          from here on only the new one writes
///     new: running
///     old: retired     the service manager knows of the new one
///     new: failed WHY  at any time
///
/// Another version of it, `kHandoverVersion`, is refused by the new process.
class Handover final : public admin::SoftRestart {
 public:
  struct Setup {
    std::string program;  ///< the path of the binary, which may be another one by now
    std::string config_file;
    Duration switch_timeout{20};
  };
  struct Listening {
    std::vector<int> sockets;
    std::size_t activated = 0;  ///< the first of these belong to the service manager
  };
  /// What it has done by the agent.
  struct Agent {
    std::function<Listening()> listeners;
    /// Of the frozen process: the connections with HAProxy's SPOE filter.
    std::function<std::vector<SpoeSocket>()> spoe_sockets;
    /// Another process has read and written on these, so that this one cannot go on with them.
    std::function<void()> drop_spoe;
    std::function<void()> freeze;  ///< nothing comes in or goes out any more
    std::function<void()> thaw;    ///< also after `retire`, when the successor has ended at once
    std::function<void(pid_t successor)> retire;
    /// This process goes on, and does not try again.
    std::function<void(std::string_view why)> stays;
  };
  Handover(net::Loop& loop, pipeline::Hub& hub, ErrorLog& errors, Setup setup, Agent agent);
  ~Handover() override;

  Result<std::uint64_t> begin() override;
  std::optional<Result<std::string>> ended(std::uint64_t number) const override;

  /// To be called after `Hub::run`, and while it is frozen in its place. True: call again without a cause.
  bool run(TimePoint now);
  bool frozen() const { return phase_ >= Phase::kFlushing; }
  /// Another process serves.
  bool gone() const { return phase_ == Phase::kGone; }
  /// Ends the new process, if there is one, and begins no other: this one stops.
  void abandon();

 private:
  enum class Phase : std::uint8_t {
    kIdle,
    kWaiting,   ///< to try once more
    kTeaching,  ///< a process was started
    kFlushing,  ///< frozen: the last changes are on their way
    kSwitching,
    kGoing,
    kGone,
  };

  void start();
  Result<void> start_process();
  Result<void> teach(net::UniqueFd lesson);
  Result<void> send_state(std::string_view verb, std::vector<int> listeners);
  void heard(std::string_view text);
  void heard_last(std::string_view text);
  bool under_way() const { return phase_ != Phase::kIdle && phase_ != Phase::kWaiting; }
  void freeze();
  void flushed();
  Result<void> send_sockets();
  void teaching_ended(const Error& why);
  void timed_out();
  void child_may_have_ended();
  /// This process goes on; |again|: and tries once more, if it has not too often.
  void fail(std::string why, bool again = false, Reason reason = Reason::kReloadFailed);
  void end_process();
  void kill_process();

  net::Loop& loop_;
  pipeline::Hub& hub_;
  ErrorLog& errors_;
  const Setup setup_;
  const Agent agent_;
  bool abandoned_ = false;

  Phase phase_ = Phase::kIdle;
  std::uint64_t number_ = 0;  ///< of the last that was begun
  unsigned tries_ = 0;
  std::optional<Result<std::string>> outcome_;  ///< of number_
  pid_t child_ = 0;
  TimePoint began_{};
  TimePoint frozen_at_{};
  std::unique_ptr<net::DescriptorChannel> channel_;
  std::unique_ptr<net::Connection> lesson_;
  pipeline::TeachingLink* link_ = nullptr;  ///< the session of |lesson_|
  std::string problem_;                     ///< why the teaching has ended
  net::Timer timer_;
  net::Signal child_signal_;
};

}  // namespace stickmesh::daemon
