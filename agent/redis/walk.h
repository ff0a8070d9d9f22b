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
  /// What is asked of all keys first, by one command each; null: nothing. Those are read for which |fits|
  /// holds.
  std::function<void(RedisSession& session, const std::string& key, TimePoint now)> look{};
  std::function<bool(const std::string& key, const Reply& reply, TimePoint now)> fits{};
  /// In place of its value: another server has the key, or will have it. Null: that stops everything.
  std::function<void(const std::string& key, const Reply& error, TimePoint now)> moved{};
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
  void take_page(const Reply& page);
  void look(RedisSession& session, TimePoint now);
  void ask(RedisSession& session, TimePoint now);
  void looked(const Reply& reply, TimePoint now);
  void read(const Reply& reply, TimePoint now);

  std::string pattern_;
  Reading reading_;
  Wanted wanted_;
  Take take_;
  std::string cursor_;
  std::vector<std::string> keys_;  ///< that were asked for
  std::vector<std::string> good_;  ///< of these, whose values are to be read
  bool looks_ = false;             ///< |keys_| were looked at only
  std::size_t at_ = 0;             ///< of the next that comes
  std::size_t before_ = 0;         ///< replies to come before its value
  bool moved_ = false;             ///< one of these has said so
  bool done_ = false;
};

}  // namespace stickmesh::redis
