#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "agent/base/bytes.h"
#include "agent/base/result.h"
#include "agent/base/table_definition.h"
#include "agent/peers/wire/definition.h"
#include "agent/peers/wire/message.h"

namespace stickmesh::peers {

inline constexpr std::uint64_t kServerKeyNone = 0;  ///< the entry has no server_key
inline constexpr std::uint64_t kServerKeySet = 1;
inline constexpr std::uint64_t kServerKeyUnchanged =
    2;  ///< an id that the sender never filled: keep what we have

/// Slots of the cache of server names that each side of a connection keeps of the other's.
inline constexpr std::uint32_t kDictionarySlots = 128;
inline constexpr std::size_t kMaxServerKey = 1024;

/// A server_key as it came: a slot alone, or a slot and the name that fills it.
struct ServerKeyField {
  std::uint32_t slot = 0;  ///< 1 to kDictionarySlots; 0: the entry has none
  bool has_name = false;
  std::string_view name;
};

/// What follows the values in a table whose definition is `versioned`: of which state of its contribution
/// they are.
struct VersionField {
  std::uint32_t generation = 0;
  std::uint32_t update_id = 0;  ///< the origin's own number
  bool cleared = false;         ///< all values are 0 because an operator said so
  /// The number of the last change of each element that is no rate, in the order of the values.
  std::span<const std::uint64_t> changes;
  /// Between the two processes of a soft restart alone, as `store::Copy` has them.
  bool heard = false;
  bool owed = false;
};

/// An entry update but for its values. Views point into the message.
struct EntryUpdate {
  bool has_id = false;  ///< else its number is the previous one's plus one
  std::uint32_t id = 0;
  bool timed = false;
  Duration remaining{0};
  Bytes key;
  ServerKeyField server_key;
  VersionField version;  ///< of `versioned` tables
};

/// How many cells `decode_update` fills for a table, in the order of `peers::Update::cells`.
std::size_t cell_count(const TableDefinition& definition);
/// How many numbers of changes its versions have.
std::size_t change_count(const TableDefinition& definition);
/// The cell of server_key, if the table has one.
std::optional<std::size_t> server_key_cell(const TableDefinition& definition);

// | 0a | 80 81 85 86 | length | 80 85: u32be id | 85 86: u32be remaining ms | key | values |
// key: 4, 16 or key-size bytes; of strings: varint size, bytes
// version, of `versioned` tables: varint generation, varint update id, varint of flags (1 cleared, 2 heard, 4
// owed), varint of each change
// value: varint; of rates: varint age, varint current, varint previous; of server_key: varint size, [slot,
// [size, name]]

/// Decodes an update of one of those four types into |cells|, of which there must be `cell_count`. A
/// server_key of a slot alone leaves kServerKeyUnchanged for whoever keeps the slots. What follows the known
/// values is ignored. |changes| is room for `change_count` numbers, of `versioned` tables alone.
Result<EntryUpdate> decode_update(TableType type, Bytes body, const TableDefinition& definition,
                                  std::span<std::uint64_t> cells, std::span<std::uint64_t> changes = {});

/// Builds entry updates, always with their number: HAProxy 3.3 to 3.5 misread implicit ones. Calls come in
/// the order begin, key, the values of the table's types in order, finish; the buffer is kept from one
/// message to the next.
class UpdateEncoder {
 public:
  UpdateEncoder() = default;
  UpdateEncoder(const UpdateEncoder&) = delete;
  UpdateEncoder& operator=(const UpdateEncoder&) = delete;

  /// With |remaining|, of which HAProxy takes at most kMaxTime, the update is a timed one.
  void begin(std::uint32_t update_id, std::optional<Duration> remaining);
  void key(KeyType type, Bytes key);
  void number(std::uint64_t value) { writer_.varint(value); }
  void signed_number(std::int64_t value) { writer_.varint(static_cast<std::uint64_t>(value)); }
  /// |age| is cut to kMaxTime: above, HAProxy takes the counter's period for one of the future.
  void rate(std::uint32_t age, std::uint32_t current, std::uint32_t previous);
  /// Fills slot 1 anew each time, so that nothing depends on the other side's cache. Empty, or longer than
  /// kMaxServerKey: the entry has none.
  void server_key(std::string_view name);
  /// Of a `versioned` table, after all values.
  void version(const VersionField& version);
  /// The whole message; valid until the next `begin`.
  Bytes finish();

 private:
  std::vector<std::byte> buffer_;  ///< room for the longest header, then the body
  Writer writer_{buffer_};
  TableType type_ = TableType::kUpdate;
};

}  // namespace stickmesh::peers
