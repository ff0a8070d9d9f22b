// All decoders of agent/peers/wire on the same bytes. What they accept must come back when it is encoded and
// decoded again.

#include <array>
#include <cstdint>
#include <vector>

#include "agent/peers/wire/ack.h"
#include "agent/peers/wire/definition.h"
#include "agent/peers/wire/entry_update.h"
#include "agent/peers/wire/handshake.h"
#include "agent/peers/wire/message.h"
#include "tests/fuzz/check.h"

namespace stickmesh::peers {
namespace {

constexpr std::size_t kMaxBody = 4096;

Bytes body_of(Bytes message) {
  const Frame frame = parse_frame(message, message.size());
  FUZZ_CHECK(frame.status == FrameStatus::kMessage && frame.size == message.size());
  return frame.message.body;
}

void fuzz_handshake(std::string_view text) {
  const auto hello = parse_hello(text);
  if (hello && *hello) {
    FUZZ_CHECK((*hello)->size <= text.size() && (*hello)->size <= kMaxHelloSize);
    const auto again = parse_hello(encode_hello((*hello)->hello));
    FUZZ_CHECK(again && *again && (*again)->hello == (*hello)->hello);
  }
  if (hello && !*hello) FUZZ_CHECK(text.size() <= kMaxHelloSize);
  const auto status = parse_status(text);
  if (status && *status) {
    FUZZ_CHECK((*status)->size <= text.size());
    FUZZ_CHECK(!describe_status((*status)->status).empty());
  }
}

void fuzz_definition(Bytes body) {
  const auto table = decode_definition(body);
  if (!table) return;
  std::vector<std::byte> message;
  Writer writer(message);
  encode_definition(table->id, table->definition, writer);
  const auto again = decode_definition(body_of(message));
  FUZZ_CHECK(again && *again == *table);
}

void encode_values(UpdateEncoder& encoder, const TableDefinition& definition,
                   std::span<const std::uint64_t> cells, std::string_view server_key) {
  const std::uint64_t* cell = cells.data();
  for (const StoredType& stored : definition.types) {
    for (std::uint32_t element = 0; element < stored.elements; ++element) {
      switch (traits(stored.type).kind) {
        case ValueKind::kSigned32:
          encoder.signed_number(static_cast<std::int64_t>(*cell++));
          break;
        case ValueKind::kUnsigned32:
        case ValueKind::kUnsigned64:
          encoder.number(*cell++);
          break;
        case ValueKind::kRate:
          encoder.rate(static_cast<std::uint32_t>(cell[0]), static_cast<std::uint32_t>(cell[1]),
                       static_cast<std::uint32_t>(cell[2]));
          cell += 3;
          break;
        case ValueKind::kDictionary:
          encoder.server_key(server_key);
          ++cell;
          break;
      }
    }
  }
}

void fuzz_update(TableType type, Bytes body, const TableDefinition& definition) {
  std::vector<std::uint64_t> cells(cell_count(definition));
  const auto update = decode_update(type, body, definition, cells);
  if (!update) return;
  FUZZ_CHECK(definition.key_type == KeyType::kString ? update->key.size() < definition.key_size
                                                     : update->key.size() == definition.key_size);
  FUZZ_CHECK(update->server_key.slot <= kDictionarySlots);

  UpdateEncoder encoder;
  encoder.begin(update->id, update->timed ? std::optional(update->remaining) : std::nullopt);
  encoder.key(definition.key_type, update->key);
  encode_values(encoder, definition, cells, update->server_key.name);
  const Bytes message = encoder.finish();
  std::vector<std::uint64_t> cells_again(cells.size());
  const auto again = decode_update(update->timed ? TableType::kTimedUpdate : TableType::kUpdate,
                                   body_of(message), definition, cells_again);
  FUZZ_CHECK(again && again->id == update->id && again->timed == update->timed);
  FUZZ_CHECK(again->remaining == update->remaining);
  FUZZ_CHECK(as_text(again->key) == as_text(update->key) &&
             again->server_key.name == update->server_key.name);

  // The two that are not sent as they came: an empty or unnamed server_key, and an age that HAProxy would
  // misread.
  std::size_t at = 0;
  for (const StoredType& stored : definition.types) {
    for (std::uint32_t element = 0; element < stored.elements; ++element) {
      const ValueKind kind = traits(stored.type).kind;
      if (kind == ValueKind::kRate) {
        FUZZ_CHECK(cells_again[at] == std::min<std::uint64_t>(cells[at], kMaxTime));
        FUZZ_CHECK(cells_again[at + 1] == cells[at + 1] && cells_again[at + 2] == cells[at + 2]);
        at += 3;
        continue;
      }
      if (kind == ValueKind::kDictionary) {
        FUZZ_CHECK((cells_again[at] == kServerKeySet) == !update->server_key.name.empty());
      } else {
        FUZZ_CHECK(cells_again[at] == cells[at]);
      }
      ++at;
    }
  }
}

/// A table that the input chooses: two bytes for the key, four for the types.
TableDefinition chosen_table(Reader& reader) {
  constexpr std::array kKeys = {KeyType::kInteger, KeyType::kIpv4, KeyType::kIpv6, KeyType::kString,
                                KeyType::kBinary};
  TableDefinition definition;
  definition.key_type = kKeys[reader.u8() % kKeys.size()];
  const std::uint8_t size = reader.u8();
  const bool free_size = definition.key_type == KeyType::kString || definition.key_type == KeyType::kBinary;
  definition.key_size = free_size ? 1U + size : definition.key_type == KeyType::kIpv6 ? 16U : 4U;
  const std::uint32_t types = reader.u32be();
  for (std::size_t bit = 0; bit < kDataTypeCount; ++bit) {
    if ((types >> bit & 1U) == 0) continue;
    const auto type = static_cast<DataType>(bit);
    definition.types.push_back(
        {type, traits(type).array ? 1U + size % kMaxArrayElements : 1U, Duration(1000)});
  }
  return definition;
}

void fuzz_stream(Bytes in) {
  TableDefinition definition;
  while (!in.empty()) {
    const Frame frame = parse_frame(in, kMaxBody);
    if (frame.status == FrameStatus::kNeedMore) FUZZ_CHECK(frame.size > in.size());
    if (frame.status != FrameStatus::kMessage) return;
    FUZZ_CHECK(frame.size >= 2 && frame.size <= in.size() && frame.message.body.size() <= kMaxBody);
    const auto type = static_cast<TableType>(frame.message.type);
    if (type == TableType::kDefinition) {
      const auto table = decode_definition(frame.message.body);
      if (table) definition = table->definition;
    } else if (type != TableType::kSwitch && type != TableType::kAck) {
      fuzz_update(type, frame.message.body, definition);
    }
    in = in.subspan(frame.size);
  }
}

void fuzz_short_messages(Bytes body) {
  std::vector<std::byte> message;
  Writer writer(message);
  if (const auto ack = decode_ack(body)) {
    encode_ack(*ack, writer);
    FUZZ_CHECK(decode_ack(body_of(message)) == *ack);
  }
  message.clear();
  if (const auto table = decode_switch(body)) {
    encode_switch(*table, writer);
    FUZZ_CHECK(decode_switch(body_of(message)) == *table);
  }
}

}  // namespace
}  // namespace stickmesh::peers

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stickmesh;
  using namespace stickmesh::peers;
  const Bytes input(reinterpret_cast<const std::byte*>(data), size);
  fuzz_handshake(as_text(input));
  fuzz_definition(input);
  fuzz_short_messages(input);
  fuzz_stream(input);
  Reader reader(input);
  const TableDefinition definition = chosen_table(reader);
  for (const TableType type : {TableType::kUpdate, TableType::kImplicitUpdate, TableType::kTimedUpdate,
                               TableType::kImplicitTimedUpdate}) {
    fuzz_update(type, reader.rest(), definition);
  }
  return 0;
}
