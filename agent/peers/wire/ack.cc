#include "agent/peers/wire/ack.h"

#include <limits>

#include "agent/peers/wire/message.h"

namespace stickmesh::peers {

void encode_ack(const Ack& ack, Writer& out) {
  encode_table_header(TableType::kAck, varint_size(ack.table) + sizeof(std::uint32_t), out);
  out.varint(ack.table);
  out.u32be(ack.update_id);
}

Result<Ack> decode_ack(Bytes body) {
  Reader reader(body);
  Ack ack;
  ack.table = static_cast<TableId>(reader.varint_up_to(std::numeric_limits<TableId>::max()));
  ack.update_id = reader.u32be();
  if (!reader.ok()) return refuse(reader.failure(), "acknowledgement");
  return ack;
}

}  // namespace stickmesh::peers
