#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "agent/base/time.h"
#include "agent/net/loop.h"
#include "agent/net/systemd.h"
#include "agent/net/timer.h"

namespace stickmesh::daemon {

/// What the service manager (systemd) hears of the agent: which process is in charge, that its event loop
/// goes round, and, for `systemctl status`, a line of how it is. Only the process in charge speaks. Silent
/// when nobody has asked.
class ServiceManager {
 public:
  explicit ServiceManager(net::Loop& loop);
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

  /// A process that was started by the service manager serves.
  void ready(std::string_view status);
  /// This process is in charge, in the place of another.
  void take_charge(std::string_view status);
  /// |successor| is in charge. To be called before that one hears of it: while only the main process is
  /// listened to, what it said before would be lost.
  void hand_on(pid_t successor);
  void status(std::string_view status);
  /// Who is in charge could not be told yet; it is tried again.
  bool owes() const { return !owed_.empty(); }
  /// It ends, within |limit|, which may be more than the service manager would wait.
  void stopping(std::string_view status, Duration limit);

 private:
  bool tell(std::string_view what);
  /// Assignments that must not get lost: systemd would end what it believes to hang, or to have ended.
  void owe(std::string_view what);
  void pay();
  void beat();
  void start_beating();

  net::Loop& loop_;
  std::optional<Duration> interval_;  ///< between two signs of life
  net::Notifier notifier_;
  net::Timer timer_;
  std::string status_;  ///< the newest, as an assignment
  std::string owed_;
  net::Timer again_;
  Duration again_after_;
  bool heard_ = true;  ///< so that the log says once that it is not
};

}  // namespace stickmesh::daemon
