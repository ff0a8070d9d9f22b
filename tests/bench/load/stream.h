#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "agent/base/bytes.h"
#include "agent/base/table_definition.h"
#include "agent/base/time.h"
#include "agent/peers/wire/entry_update.h"
#include "tests/bench/load/keys.h"

namespace stickmesh::bench {

/// Makes updates as a busy instance would send them: gpc0 is |sequence|, the other values are random.
class UpdateMaker {
 public:
  /// |definition| has integer or ip keys, and no arrays and no names among its types.
  UpdateMaker(const TableDefinition& definition, std::uint32_t seed)
      : definition_(definition), random_(seed) {}

  /// Valid until the next call.
  Bytes make(std::uint32_t update_id, std::uint32_t index, std::uint32_t sequence,
             std::optional<Duration> remaining);

 private:
  void value(const StoredType& type, std::uint32_t sequence);

  const TableDefinition& definition_;
  std::mt19937 random_;
  peers::UpdateEncoder encoder_;
};

/// Whether `UpdateMaker` can make updates of such a table.
bool can_make(const TableDefinition& definition);

/// Updates that are encoded before the time that is measured.
struct Stream {
  std::vector<std::byte> bytes;
  std::vector<std::size_t> block_ends;  ///< whole messages, together as long as one message may be
  std::uint32_t last_id = 0;

  Bytes block(std::size_t index) const;
  bool empty() const { return block_ends.empty(); }
};

struct StreamPlan {
  std::uint32_t keys = 0;
  std::uint32_t updates = 0;  ///< in rounds over all keys, in random order
  std::uint32_t first_id = 1;
  std::uint32_t seed = 0;
  bool timed = false;  ///< as in a lesson: the later in the stream, the longer the remaining life
};

Stream make_stream(const TableDefinition& definition, const StreamPlan& plan);

}  // namespace stickmesh::bench
