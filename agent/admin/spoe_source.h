#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/time.h"

namespace stickmesh::admin {

struct SpoeConnection {
  std::string address;
  std::string engine;  ///< what HAProxy calls it; empty until it has said HELLO, and for health checks
  std::string state;   ///< in a word
  TimePoint since{};
  std::size_t frame_size = 0;
  std::uint64_t events = 0;
  std::uint64_t not_ok = 0;     ///< of these, answered with `ok` false
  std::uint64_t in_flight = 0;  ///< events whose answers HAProxy has not taken
};

struct SpoeOverview {
  std::vector<std::pair<std::string, std::uint64_t>> numbers;  ///< as they are shown: "Events", 17
  std::vector<SpoeConnection> connections;
};

/// The SPOE side of the agent, as the command `show spoe` sees it.
class SpoeSource {
 public:
  SpoeSource() = default;
  SpoeSource(const SpoeSource&) = delete;
  SpoeSource& operator=(const SpoeSource&) = delete;
  virtual ~SpoeSource() = default;

  virtual SpoeOverview overview(TimePoint now) const = 0;
};

}  // namespace stickmesh::admin
