#pragma once

#include <fmt/format.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "agent/base/result.h"
#include "agent/net/loop.h"
#include "tests/bench/load/load_peer.h"

namespace stickmesh::bench {

/// What all modes of the program have in common.
struct Target {
  net::SocketAddress server;
  std::string server_name;
  std::vector<std::string> names;       ///< of the scripted peers
  std::vector<TableDefinition> tables;  ///< what they announce; streams are of the first
  pid_t pid = 0;                        ///< of the server, for its CPU time and memory; 0: unknown
  Duration settle{300};                 ///< counted to a measurement: what is done behind the last update
  Duration timeout{120000};
};

/// What the server spent from `start` to the end of the settling time.
class Measurement {
 public:
  Measurement(net::Loop& loop, const Target& target);

  void start();
  /// The work is done; |then| is called when the server has settled.
  void stop(std::function<void()> then);
  /// A JSON object.
  std::string report(std::uint64_t updates) const;

 private:
  net::Loop& loop_;
  const Target& target_;
  net::Timer settled_;
  std::function<void()> then_;
  std::chrono::steady_clock::time_point started_{};
  std::chrono::duration<double> wall_{};
  std::uint64_t server_cpu_ = 0;
  std::uint64_t own_cpu_ = 0;
  std::uint64_t memory_before_ = 0;
  std::uint64_t memory_after_ = 0;
};

/// One run of the program: some peers, a loop, an end.
class Run {
 public:
  explicit Run(Target target);
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  virtual ~Run() = default;

  /// The report, a JSON object; or why there is none.
  Result<std::string> perform();

 protected:
  virtual void prepare() = 0;  ///< sets the peers' callbacks
  virtual std::string report() const = 0;

  void done();
  void fail(const std::string& why);

  net::Loop& loop() { return loop_; }
  const Target& target() const { return target_; }
  std::deque<LoadPeer>& peers() { return peers_; }

 private:
  net::Loop loop_;
  const Target target_;
  net::Timer timeout_;
  std::deque<LoadPeer> peers_;
  std::string failure_;
  bool done_ = false;
};

}  // namespace stickmesh::bench
