#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/pipeline/hub.h"
#include "agent/redis/session.h"
#include "agent/snapshot/restoration.h"

namespace stickmesh::redis {

/// Reads back what the mirror has kept of each origin: walks over the keys PREFIX:TABLE@ORIGIN:KEY with SCAN,
/// and lays what they hold over what the agent has, by version. Each is a snapshot of one contribution. What
/// is none is counted, and left where it is.
class Restore {
 public:
  /// |hub| must outlive it; instances and other agents are best not there yet.
  Restore(pipeline::Hub& hub, std::string_view prefix, TimePoint now);

  /// Of a session in which it begins, anew if it had.
  void begin(RedisSession& session, TimePoint now);
  /// Of the oldest command. An error is what stops everything.
  Result<void> replied(RedisSession& session, const Reply& reply, TimePoint now);
  bool done() const { return done_; }

  struct Counts {
    snapshot::Restoration::Counts contributions;
    std::uint64_t damaged = 0;
  };
  /// Ends it, whether it is done or not.
  Counts finish();

 private:
  void scan(RedisSession& session, TimePoint now);
  void take(const std::string& value, TimePoint now);

  pipeline::Hub& hub_;
  const std::string prefix_;  ///< with the colon behind it
  const std::string pattern_;
  snapshot::Restoration restoration_;
  std::string cursor_;
  std::vector<std::string> keys_;  ///< whose values were asked for
  std::size_t at_ = 0;             ///< of the next that comes
  std::uint64_t damaged_ = 0;
  bool done_ = false;
};

}  // namespace stickmesh::redis
