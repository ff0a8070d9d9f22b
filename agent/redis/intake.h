#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/pipeline/hub.h"
#include "agent/pipeline/rules.h"
#include "agent/redis/walk.h"

namespace stickmesh::redis {

/// Takes what others have written for the agents to Redis: hashes PREFIX:TABLE@redis:KEY, whose fields are
/// named like data types. All of it is said by one origin, `redis`, whose version is the time at which Redis
/// was read, by its own clock and in one transaction with the hash. So it counts once, whichever agents read
/// it, and the newest state of a hash stands whoever tells it.
class Intake {
 public:
  /// |hub| must outlive it. |tables| are the patterns of those that may be written to.
  Intake(pipeline::Hub& hub, std::string_view prefix, const std::vector<std::string>& tables);

  /// Where a change is announced, as TABLE:KEY.
  const std::string& channel() const { return channel_; }
  /// The key of the hash that was announced; nothing, and it is told, if |announced| is none.
  std::optional<std::string> key_of(std::string_view announced, TimePoint now);
  /// Who reads one server.
  struct Reader {
    /// Whether the key is that server's to say.
    std::function<bool(std::string_view key)> mine;
    /// Another has it, or will have it soon: it is to be read again later.
    std::function<void(const std::string& key, const Reply& error)> moved;
    /// It is to be read once more, at once. False when that cannot be done.
    std::function<bool(const std::string& key)> again;
  };
  /// It must not outlive this.
  Walk walk(Reader reader);

  /// How far `unseen` has come.
  struct Sweep {
    store::Version since;  ///< when a whole walk has begun
    store::Version until;  ///< and ended
    std::string table{};
    store::EntryId entry = 0;
  };
  /// After it, keys that |mine| holds for, of which something is said and was not read by it: they may have
  /// gone, which reading them says. At most |limit|; none when there are no more.
  std::vector<std::string> unseen(Sweep& sweep, const std::function<bool(std::string_view key)>& mine,
                                  std::size_t limit);
  /// What Redis answers to TIME, as a version; nothing if it is none.
  static std::optional<store::Version> time_of(const Reply& reply);

  std::uint64_t accepted() const { return accepted_; }
  std::uint64_t refused() const { return refused_; }

 private:
  struct Place {
    pipeline::TableRecord* record;
    std::vector<std::byte> key;
  };
  Result<Place> place_of(std::string_view key);
  using Keys = std::set<std::string>;
  void take(const std::string& key, const Reply& reply, const Reader& reader, Keys& doubtful, TimePoint now);
  /// Nothing but the key's place and the time of |reply|, if it is one.
  Result<std::pair<Place, store::Version>> read(const std::string& key, const Reply& reply);
  bool fits(const std::string& key, const Reply& length, TimePoint now);
  store::ContributionId held(const Place& place);
  Result<void> say(const Place& place, const Reply& reply, store::Version version, TimePoint now);
  Result<void> write(const Place& place, const Reply& fields, Duration life, store::Version version,
                     TimePoint now);
  void remove(const Place& place, store::Version version, TimePoint now);
  void note(Result<void> outcome, std::string_view key, TimePoint now);

  pipeline::Hub& hub_;
  const std::string prefix_;  ///< with the colon behind it
  const std::string channel_;
  std::vector<pipeline::Pattern> tables_;
  store::Plan plan_;
  std::vector<std::uint64_t> cells_;
  std::uint64_t accepted_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace stickmesh::redis
