#include "agent/peers/session/liveness.h"

#include <algorithm>

#include "agent/base/table_definition.h"

namespace stickmesh::peers {

namespace {

void lower(std::optional<TimePoint>& earliest, std::optional<TimePoint> other) {
  if (other && (!earliest || *other < *earliest)) earliest = other;
}

bool due(std::optional<TimePoint> time, TimePoint now) {
  return time && *time <= now;
}

}  // namespace

void Liveness::established(TimePoint now) {
  handshake_end_.reset();
  heard_ = now;
  regular_ = now + times_.heartbeat;
  nudge(now);
}

void Liveness::nudge(TimePoint now) {
  early_ = {now + Duration(10), now + Duration(250)};
}

void Liveness::observe(bool output_waits, bool blocked, TimePoint now) {
  if (!output_waits) {
    moved_.reset();
  } else if (!moved_) {
    moved_ = now;
  }
  if (blocked_ && !blocked) heard_ = now;
  blocked_ = blocked;
}

std::optional<TimePoint> Liveness::deadline() const {
  if (handshake_end_) return handshake_end_;
  std::optional<TimePoint> earliest = regular_;
  for (const auto& early : early_) lower(earliest, early);
  if (!blocked_) lower(earliest, heard_ + times_.idle_timeout);
  if (moved_) lower(earliest, *moved_ + times_.write_timeout);
  return earliest;
}

Result<void> Liveness::check(TimePoint now) const {
  if (handshake_end_) {
    if (!due(handshake_end_, now)) return {};
    return refuse(Reason::kHandshakeTimeout, "not done in " + describe(times_.handshake_timeout));
  }
  if (moved_ && due(*moved_ + times_.write_timeout, now)) {
    return refuse(Reason::kNotReading, "no byte taken in " + describe(times_.write_timeout));
  }
  if (!blocked_ && due(heard_ + times_.idle_timeout, now)) {
    return refuse(Reason::kIdleTimeout, "nothing heard in " + describe(times_.idle_timeout));
  }
  return {};
}

bool Liveness::take_heartbeat(TimePoint now) {
  bool any = due(regular_, now);
  for (auto& early : early_) {
    if (!due(early, now)) continue;
    early.reset();
    any = true;
  }
  if (any) regular_ = now + times_.heartbeat;
  return any;
}

}  // namespace stickmesh::peers
