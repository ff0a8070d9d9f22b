#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/events/track_line.h"
#include "agent/pipeline/hub.h"
#include "agent/pipeline/own_writer.h"
#include "spoe/events/table_view.h"

namespace stickmesh::events {

/// What has become of lines since the start.
struct LineCounters {
  std::uint64_t lines = 0;
  std::uint64_t counted = 0;
  std::uint64_t malformed = 0;  ///< could not be read
  std::uint64_t refused = 0;    ///< could be, but there is no such table or type, no key of that, or no room
};

/// Counts what lines say in the agent's own contribution, as a `track` of HAProxy's SPOE filter does. One for
/// all connections, which it outlives. A line that is wrong is left out, whole, and recorded in the hub's
/// errors.
class TrackCounter {
 public:
  explicit TrackCounter(pipeline::Hub& hub) : hub_(hub), views_(hub.registry(), hub.limits()), writer_(hub) {}

  /// |from|: who sent it, for the operator.
  void take(std::string_view text, std::string_view from, TimePoint now);

  const LineCounters& counters() const { return counters_; }

 private:
  Result<void> count(TimePoint now);

  pipeline::Hub& hub_;
  spoe::TableViews views_;
  pipeline::OwnWriter writer_;
  LineCounters counters_;
  // Of the line at hand; kept for their memory.
  TrackLine line_;
  std::vector<std::byte> key_;
  std::vector<pipeline::OwnValue> values_;
};

}  // namespace stickmesh::events
