#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/table_definition.h"
#include "tests/unit/sim/frequency.h"

namespace stickmesh::sim {

/// The values of the one layout that the simulated tables have.
struct Values {
  std::uint32_t gpt0 = 0;
  std::uint32_t conn_cur = 0;
  std::uint32_t http_req_cnt = 0;
  Frequency http_req_rate;
};

inline constexpr Duration kPeriod{10000};

/// "type string len 32 expire |expire| store gpt0,conn_cur,http_req_cnt,http_req_rate(10s)".
TableDefinition definition_of(std::string wire_name, Duration expire);

/// A stick table of one HAProxy process: which entries it has, when they go and which update ids they bear.
///
/// Facts of HAProxy 2.6 that tests would not guess: an entry that waits to be pushed keeps its id when it
/// changes again; one that a peer overwrites keeps its id too; what a peer says shortens a life, but the
/// entry goes when its old end comes up; room for an update is made before its key is looked up
/// (peers-protocol 2.2, 2.3, 3.5).
class StickTable {
 public:
  struct Entry {
    std::string key;
    Values values;
    TimePoint expires;
    TimePoint queued;                 ///< when HAProxy looks whether it has expired
    std::optional<std::uint32_t> id;  ///< its place in the order of updates

    /// A connection tracks it: it stays.
    bool in_use() const { return values.conn_cur != 0; }
  };

  StickTable(TableDefinition definition, std::size_t size)
      : definition_(std::move(definition)), size_(size) {}

  const TableDefinition& definition() const { return definition_; }
  const Entry* find(std::string_view key) const { return const_cast<StickTable*>(this)->find(key); }
  Entry* find(std::string_view key);

  /// As a request that tracks |key| does: makes the entry when it is new. To be followed by `touch`. Null
  /// when the table is full of entries in use.
  Entry* get(std::string_view key, TimePoint now);
  void touch(Entry& entry, TimePoint now);
  /// An update from a peer: the entry to write, which then lives |life| longer. Gives an id to one that has
  /// none. Null as above.
  Entry* learn(std::string_view key, Duration life, TimePoint now);

  /// Drops what has expired: to be called before anyone looks.
  void purge(TimePoint now);

  /// The entry with the smallest id of at least |id|, as numbers; null when there is none.
  const Entry* at_or_after(std::uint32_t id) const;
  std::uint32_t local_update() const { return local_update_; }
  std::uint32_t committed() const { return committed_; }
  void commit(std::uint32_t id) { committed_ = id; }

  bool has_evicted() const { return !evicted_.empty(); }
  /// Keys that had to make room, or found none, since the last call.
  std::vector<std::string> take_evicted() { return std::exchange(evicted_, {}); }

 private:
  Entry& add(std::string_view key, TimePoint now);
  bool make_room();

  TableDefinition definition_;
  std::size_t size_;
  std::vector<Entry> entries_;
  std::uint32_t update_ = 0;              ///< the last id given to anyone
  std::uint32_t local_update_ = 0;        ///< the last given to a local change
  std::uint32_t committed_ = 0;           ///< the last pushed to any peer
  TimePoint soonest_ = TimePoint::max();  ///< that anything is queued for, or before
  std::vector<std::string> evicted_;
};

}  // namespace stickmesh::sim
