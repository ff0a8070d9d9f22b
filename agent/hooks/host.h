#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "agent/lua/watchdog.h"
#include "agent/pipeline/hub.h"
#include "agent/pipeline/own_writer.h"
#include "spoe/events/table_view.h"

namespace stickmesh::hooks {

/// What all scripts work on. They keep nothing that must outlive them: tables do.
struct Host {
  explicit Host(pipeline::Hub& of) : hub(of), views(of.registry(), of.limits()), writer(of) {}

  /// Whether one more line may be logged: what scripts write is often what clients have sent.
  bool may_log() {
    constexpr unsigned kLinesPerSecond = 10;
    if (now - second >= std::chrono::seconds(1)) {
      second = now;
      lines = 0;
    }
    return ++lines <= kLinesPerSecond;
  }

  pipeline::Hub& hub;
  spoe::TableViews views;
  pipeline::OwnWriter writer;
  lua::Watchdog watchdog;
  TimePoint now{};       ///< of the call at hand
  bool loading = false;  ///< a file: what it would write could be another process's by now
  TimePoint second{};    ///< in which |lines| were logged
  unsigned lines = 0;
  // Kept for their memory.
  std::vector<std::byte> key;
  std::vector<pipeline::OwnValue> values;
  std::vector<std::uint32_t> fields;
};

}  // namespace stickmesh::hooks
