#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/table_definition.h"
#include "agent/store/table.h"

namespace stickmesh::pipeline {

/// The `server_id` in an update's |cells| of a table so |defined|; 0 when it has none.
std::int32_t server_id(const TableDefinition& defined, std::span<const std::uint64_t> cells);

/// Which name each instance gives a server's id, in the entries of one table: HAProxy writes its own server's
/// id and `server_key` together, the name or, with `srvkey addr`, the address. Ids are each backend's own,
/// and several backends may use one table, so an instance may well have several names for one id. Owned by
/// the registry, beside the table.
class ServerPairs {
 public:
  /// What an instance says past this is not compared.
  static constexpr std::size_t kMaxPairs = 256;

  /// |texts| outlives it.
  explicit ServerPairs(store::StringPool& texts) : texts_(&texts) {}
  ~ServerPairs();
  ServerPairs(const ServerPairs&) = delete;
  ServerPairs& operator=(const ServerPairs&) = delete;

  /// |origin| says that the server of |key|'s entry in |table| is |name|, with that id; to be called before
  /// |table| takes it. What |table| holds already tells nothing: an instance repeats it, whoever wrote it,
  /// whenever it uses the entry.
  void hear(const store::Table& table, store::OriginId origin, Bytes key, std::int32_t id,
            std::string_view name);
  /// Another process of |origin| may have other servers.
  void forget(store::OriginId origin);

  /// Two instances that have not one name for an id in common, or not one id for a name: the first of such,
  /// in words, and how many there are.
  struct Disagreement {
    std::string words;
    std::size_t servers = 0;
  };
  std::optional<Disagreement> compare(store::OriginId left, store::OriginId right,
                                      const store::Origins& origins) const;

  /// Whose pairs are others than at the last call.
  bool changed() const { return !changed_.empty(); }
  std::optional<store::OriginId> take_changed();
  /// Whom something is known of.
  std::vector<store::OriginId> origins() const;
  std::size_t size(store::OriginId origin) const;

 private:
  struct Pair {
    std::int32_t id;
    std::uint32_t name;  ///< in the pool
  };
  struct Said {
    std::vector<Pair> by_id;    ///< and by name within
    std::vector<Pair> by_name;  ///< and by id within
  };

  bool knows(store::OriginId origin, std::int32_t id, std::string_view name) const;
  static bool holds(const store::Table& table, store::OriginId origin, Bytes key, std::int32_t id,
                    std::string_view name);
  void add(store::OriginId origin, std::int32_t id, std::string_view name);

  store::StringPool* texts_;
  std::map<store::OriginId, Said> said_;
  std::set<store::OriginId> changed_;
};

}  // namespace stickmesh::pipeline
