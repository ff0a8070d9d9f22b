#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <string>

#include "agent/base/result.h"
#include "agent/base/time.h"

namespace stickmesh {

/// Counts every refusal by reason, keeps the newest for `show errors`, and logs them at a bounded rate, so
/// that no remote can fill the log. One object, owned by the daemon, handed to whoever refuses something.
class ErrorLog {
 public:
  struct Record {
    std::chrono::system_clock::time_point when;
    Reason reason;
    std::string where;  ///< the peer, table or command concerned
    std::string detail;
  };

  /// Counts |error|, which happened |times| times, and remembers it once. Logs it as a warning unless this
  /// reason was logged within the last second; how many were left out is said with the next line.
  void record(const Error& error, std::string where, TimePoint now, std::uint64_t times = 1);

  std::uint64_t count(Reason reason) const { return counters_[static_cast<std::size_t>(reason)].count; }
  /// Oldest first.
  const std::deque<Record>& recent() const { return recent_; }

 private:
  struct Counter {
    std::uint64_t count = 0;
    std::uint64_t unlogged = 0;
    TimePoint logged{};
  };
  static constexpr std::size_t kKept = 64;

  std::array<Counter, kReasonCount> counters_{};
  std::deque<Record> recent_;
};

}  // namespace stickmesh
