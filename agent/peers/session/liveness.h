#pragma once

#include <array>
#include <optional>

#include "agent/base/result.h"
#include "agent/base/time.h"

namespace stickmesh::peers {

struct Times {
  Duration heartbeat;
  Duration idle_timeout;
  Duration handshake_timeout;
  Duration write_timeout;
};

/// The clocks of one session: when it must speak, and when the other side has been silent or deaf for too
/// long.
class Liveness {
 public:
  Liveness(const Times& times, TimePoint now)
      : times_(times), handshake_end_(now + times.handshake_timeout) {}

  void established(TimePoint now);
  /// Heartbeats after 10 and 250 ms, besides the regular ones.
  void nudge(TimePoint now);
  void received(TimePoint now) { heard_ = now; }
  /// Some output was written.
  void progressed(TimePoint now) { moved_ = now; }
  /// To be told of the state at every call that knows the time. While input is |blocked| by ourselves,
  /// silence is not the other side's; output that came to wait without a time counts from the next call.
  void observe(bool output_waits, bool blocked, TimePoint now);

  std::optional<TimePoint> deadline() const;
  /// Why the session is over at |now|, if it is.
  Result<void> check(TimePoint now) const;
  /// Whether a heartbeat is due; if so it counts as sent.
  bool take_heartbeat(TimePoint now);

 private:
  Times times_;
  std::optional<TimePoint> handshake_end_;  ///< until established
  TimePoint heard_{};
  bool blocked_ = false;
  std::optional<TimePoint> moved_;                 ///< while output waits: when it last made progress
  std::optional<TimePoint> regular_;               ///< next heartbeat
  std::array<std::optional<TimePoint>, 2> early_;  ///< those of `nudge`
};

}  // namespace stickmesh::peers
