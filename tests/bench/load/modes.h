#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tests/bench/load/run.h"

namespace stickmesh::bench {

struct PushOptions {
  std::uint32_t keys = 1000;
  std::uint32_t updates = 1000;  ///< of each peer, in each round
  std::uint32_t rounds = 1;
};
/// All peers send live updates at once; a round is over when the server has acknowledged the last of each.
std::unique_ptr<Run> make_push(Target target, const PushOptions& options);

/// The first peer answers the server's request for a lesson with that many timed entries.
std::unique_ptr<Run> make_lesson(Target target, std::uint32_t entries);

struct ReceiveOptions {
  std::string table;          ///< of the server, on the wire, whose entries are counted
  std::uint32_t entries = 0;  ///< as many different keys end the run, at the end of the lesson or behind it
  bool drain = false;         ///< stay until nothing more comes
};
/// The first peer asks for a lesson.
std::unique_ptr<Run> make_receive(Target target, const ReceiveOptions& options);

struct LatencyOptions {
  std::string table;    ///< of the server, on the wire, in which the last peer sees the changes
  std::string runtime;  ///< runtime socket of a HAProxy at which the changes are made; empty: the first peer
  std::string runtime_table;  ///< the changed table's name there
  std::uint32_t keys = 1000;
  std::uint32_t updates = 1000;
  std::uint32_t gap_ms = 5;  ///< between two changes, on average
  bool burst = false;        ///< each change is of another key, and follows the last at once
};
/// Changes one entry at a time, and sees when the last peer gets it.
std::unique_ptr<Run> make_latency(Target target, const LatencyOptions& options);

}  // namespace stickmesh::bench
