#pragma once

#include <cstdint>

#include "agent/base/bytes.h"
#include "agent/base/result.h"
#include "agent/peers/wire/definition.h"

namespace stickmesh::peers {

/// "I have this table's updates up to this one." The table's number is the one of the side that sent the
/// updates.
struct Ack {
  TableId table = 0;
  std::uint32_t update_id = 0;

  bool operator==(const Ack&) const = default;
};

// | 0a 84 | length | varint table | u32be update id |
void encode_ack(const Ack& ack, Writer& out);
Result<Ack> decode_ack(Bytes body);

}  // namespace stickmesh::peers
