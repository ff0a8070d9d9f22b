#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/result.h"
#include "agent/redis/session.h"

namespace stickmesh::redis {

/// What Redis reads as a pattern that only |text| fits.
std::string literal(std::string_view text);

/// How a key is read.
struct Reading {
  std::function<void(RedisSession& session, const std::string& key, TimePoint now)> ask;
  std::size_t replies = 1;  ///< to it, the last of which is the value
};
/// By GET.
Reading plain_reading();

/// Reads the values of all keys of one server that fit a pattern, with SCAN: as many at once as a page has.
class Walk {
 public:
  using Wanted = std::function<bool(std::string_view key)>;
  using Take = std::function<void(const std::string& key, const Reply& value, TimePoint now)>;

  /// Only keys for which |wanted| holds are read, since patterns say less.
  Walk(std::string pattern, Reading reading, Wanted wanted, Take take)
      : pattern_(std::move(pattern)),
        reading_(std::move(reading)),
        wanted_(std::move(wanted)),
        take_(std::move(take)) {}

  /// Of a session in which it begins, anew if it had.
  void begin(RedisSession& session, TimePoint now);
  /// Reads |keys| alone.
  void read(RedisSession& session, std::vector<std::string> keys, TimePoint now);
  /// Of the oldest command. An error is what stops everything.
  Result<void> replied(RedisSession& session, const Reply& reply, TimePoint now);
  bool done() const { return done_; }

 private:
  void scan(RedisSession& session, TimePoint now);
  void ask(RedisSession& session, TimePoint now);

  std::string pattern_;
  Reading reading_;
  Wanted wanted_;
  Take take_;
  std::string cursor_;
  std::vector<std::string> keys_;  ///< whose values were asked for
  std::size_t at_ = 0;             ///< of the next that comes
  std::size_t before_ = 0;         ///< replies to come before its value
  bool done_ = false;
};

}  // namespace stickmesh::redis
