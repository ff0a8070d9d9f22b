#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/base/table_definition.h"
#include "agent/base/time.h"
#include "agent/pipeline/hub.h"
#include "agent/store/table.h"

/// What a snapshot holds. The file is a row of msgpack objects:
///
/// | "stickmesh-snapshot" | format | {header} | [kind, ...] | ... | [length, XXH3-64] |
///
/// The last is of fixed size and speaks of all bytes before it, so that a file that was cut or damaged is
/// known as such before anything of it is used. Maps may have more keys, and arrays more elements, than this
/// version knows, and kinds that it does not know are left out: what is added so needs no new format.
///
/// header        {"agent", "written": Unix time in ms, and between the processes of a soft restart
///               "incarnation", "own": update id, "lamport", "learned", "start", "losses"}
/// kClock        [0, ms]: what follows is as it was that long after "written"
/// kOrigin       [1, {"name", "generation", "known": of which process that is; of instances: "away": ms,
///               "pid", "process", "complete"}]: numbered from 0
/// kTable        [2, {"definition", "replicated"}]: what follows is of that table. One that comes again was
///               defined anew meanwhile.
/// kStored       [3, {"origin", "types": bits, "definition": as the origin has it, "live": update id}]
/// kContribution [4, key, origin, generation, update id, ms that are left, flags, writer or nil,
///               server_key or nil, [cells], [numbers of changes]]: cells are those of the origin's types
///
/// and between the processes of a soft restart, so that sessions with other agents go on:
///
/// kFellow       [5, {"name", "losses", "start", "had": losses, "taker"}]: another agent; "start", "had" are
///               of what it was when it had taught everything, "start" 0: it never had
/// kTaken        [6, {"name", "number"}]: up to where one with a "taker" has taken the table's feed
/// kPlace        [7, key, origin, number]: what the feed has after the first of these
/// kFeed         [8, number]: its last, after them
///
/// A definition is the message of the peers protocol, so that one decoder knows what a table may be.
namespace stickmesh::snapshot {

inline constexpr std::string_view kMagic = "stickmesh-snapshot";
inline constexpr std::uint64_t kFormat = 1;

enum class Kind : std::uint8_t {
  kClock,
  kOrigin,
  kTable,
  kStored,
  kContribution,
  kFellow,
  kTaken,
  kPlace,
  kFeed,
};

/// Flags of a contribution.
inline constexpr std::uint64_t kCleared = 1;
inline constexpr std::uint64_t kOwed = 2;
inline constexpr std::uint64_t kAdopted = 4;  ///< another agent told it, not its origin

/// A decoder refuses longer objects: more than the longest key with the most cells takes.
inline constexpr std::size_t kMaxObject = std::size_t{1} << 18U;
/// Beyond any time that was ever measured, and far from where sums of two would overflow.
inline constexpr std::uint64_t kMaxMilliseconds = std::uint64_t{1} << 51U;
/// So many origins have a number in `store::OriginId`.
inline constexpr std::size_t kMaxOrigins = store::kNobody;

struct Header {
  std::string agent;
  std::int64_t written = 0;  ///< Unix time in ms
  /// The agent goes on: nobody has counted since, and what it has counted itself is no other incarnation's.
  std::optional<pipeline::Continuity> continuity;
};

struct OriginRecord {
  std::string_view name;
  std::uint32_t generation = 0;
  std::uint64_t known_process = 0;  ///< as `store::Origin::process`
  std::optional<Duration> away;     ///< nothing: no instance, or one that was never heard of
  std::uint64_t pid = 0;
  std::uint64_t process = 0;  ///< as `pipeline::Peer::process`; 0: as the pid says
  bool complete = false;
};

struct TableSection {
  TableDefinition definition;
  bool replicated = false;
};

/// What one origin stores in the table. Origins go by their number in the file, here and below.
struct StoredTypes {
  store::OriginId origin = 0;
  std::uint32_t types = 0;                    ///< bit n: data type n
  std::optional<TableDefinition> definition;  ///< as it said itself
  std::uint32_t live_id = 0;  ///< of its process: the newest live update of a replicated table
};

/// |copy.expires| is left out: |remaining| stands for it.
struct Contribution {
  store::Copy copy;
  Duration remaining{0};
};

struct FellowRecord {
  std::string_view name;
  std::uint32_t losses = 0;
  std::uint32_t start = 0;
  std::uint32_t had_losses = 0;
  std::uint32_t taker = 0;  ///< as `pipeline::Fellowship::taker`; 0: it has to be told everything
};

struct FeedPlace {
  Bytes key;
  store::OriginId origin = 0;
  std::uint64_t sequence = 0;
};

/// |definition| with those of its data types alone.
TableDefinition only(TableDefinition definition, std::uint32_t types);

}  // namespace stickmesh::snapshot
