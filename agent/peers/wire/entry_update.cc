#include "agent/peers/wire/entry_update.h"

#include <algorithm>
#include <limits>

namespace stickmesh::peers {

namespace {

constexpr std::uint64_t kMax32 = std::numeric_limits<std::uint32_t>::max();
// Flags of a version.
constexpr std::uint64_t kCleared = 1;
constexpr std::uint64_t kHeard = 2;
constexpr std::uint64_t kOwed = 4;

std::size_t cells_of(const StoredType& stored) {
  return traits(stored.type).kind == ValueKind::kRate ? 3 * std::size_t{stored.elements} : stored.elements;
}

Bytes read_key(Reader& reader, const TableDefinition& definition) {
  if (definition.key_type != KeyType::kString) return reader.bytes(definition.key_size);
  const std::uint64_t size = reader.varint();
  if (size >= definition.key_size) reader.fail(Reason::kBadKey);
  const Bytes key = reader.bytes(size);
  if (std::find(key.begin(), key.end(), std::byte{0}) != key.end()) reader.fail(Reason::kBadKey);
  return key;
}

std::uint64_t read_signed32(Reader& reader) {
  const std::uint64_t value = reader.varint();
  const auto number = static_cast<std::int64_t>(value);
  if (number < std::numeric_limits<std::int32_t>::min() ||
      number > std::numeric_limits<std::int32_t>::max()) {
    reader.fail(Reason::kValueOutOfRange);
  }
  return value;
}

ServerKeyField read_server_key(Reader& reader) {
  const Bytes field = reader.bytes(reader.varint());
  if (field.empty()) return {};
  Reader inner(field);
  ServerKeyField key;
  const std::uint64_t slot = inner.varint();
  if (inner.ok() && (slot < 1 || slot > kDictionarySlots)) inner.fail(Reason::kBadDictionaryId);
  key.slot = static_cast<std::uint32_t>(slot);
  if (inner.remaining() > 0) {
    key.has_name = true;
    key.name = as_text(inner.bytes(inner.varint()));
    if (key.name.size() > kMaxServerKey || key.name.find('\0') != std::string_view::npos) {
      inner.fail(Reason::kValueOutOfRange);
    }
  }
  if (!inner.ok()) reader.fail(inner.failure());
  return key;
}

VersionField read_version(Reader& reader, std::span<std::uint64_t> changes) {
  VersionField version;
  version.generation = static_cast<std::uint32_t>(reader.varint_up_to(kMax32));
  version.update_id = static_cast<std::uint32_t>(reader.varint_up_to(kMax32));
  const std::uint64_t flags = reader.varint();
  version.cleared = (flags & kCleared) != 0;
  version.heard = (flags & kHeard) != 0;
  version.owed = (flags & kOwed) != 0;
  for (std::uint64_t& change : changes) change = reader.varint();
  version.changes = changes;
  return version;
}

}  // namespace

std::size_t cell_count(const TableDefinition& definition) {
  std::size_t count = 0;
  for (const StoredType& stored : definition.types) count += cells_of(stored);
  return count;
}

std::size_t change_count(const TableDefinition& definition) {
  std::size_t count = 0;
  for (const StoredType& stored : definition.types) {
    if (traits(stored.type).kind != ValueKind::kRate) count += stored.elements;
  }
  return count;
}

std::optional<std::size_t> server_key_cell(const TableDefinition& definition) {
  std::size_t cell = 0;
  for (const StoredType& stored : definition.types) {
    if (stored.type == DataType::kServerKey) return cell;
    cell += cells_of(stored);
  }
  return std::nullopt;
}

Result<EntryUpdate> decode_update(TableType type, Bytes body, const TableDefinition& definition,
                                  std::span<std::uint64_t> cells, std::span<std::uint64_t> changes) {
  Reader reader(body);
  EntryUpdate update;
  update.has_id = type == TableType::kUpdate || type == TableType::kTimedUpdate;
  if (update.has_id) update.id = reader.u32be();
  update.timed = type == TableType::kTimedUpdate || type == TableType::kImplicitTimedUpdate;
  if (update.timed) {
    const std::uint32_t remaining = reader.u32be();
    // HAProxy reads it as signed: a time that is over.
    update.remaining = Duration(remaining > kMaxTime ? 0 : remaining);
  }
  update.key = read_key(reader, definition);

  std::uint64_t* cell = cells.data();
  for (const StoredType& stored : definition.types) {
    const ValueKind kind = traits(stored.type).kind;
    for (std::uint32_t element = 0; element < stored.elements && reader.ok(); ++element) {
      switch (kind) {
        case ValueKind::kSigned32:
          *cell++ = read_signed32(reader);
          break;
        case ValueKind::kUnsigned32:
          *cell++ = reader.varint_up_to(kMax32);
          break;
        case ValueKind::kUnsigned64:
          *cell++ = reader.varint();
          break;
        case ValueKind::kRate:
          *cell++ = reader.varint() & kMax32;
          *cell++ = reader.varint_up_to(kMax32);
          *cell++ = reader.varint_up_to(kMax32);
          break;
        case ValueKind::kDictionary:
          update.server_key = read_server_key(reader);
          *cell++ = update.server_key.has_name    ? kServerKeySet
                    : update.server_key.slot != 0 ? kServerKeyUnchanged
                                                  : kServerKeyNone;
          break;
      }
    }
  }
  if (definition.versioned) update.version = read_version(reader, changes);
  if (!reader.ok()) return refuse(reader.failure(), "update of table " + definition.name);
  return update;
}

void UpdateEncoder::begin(std::uint32_t update_id, std::optional<Duration> remaining) {
  buffer_.resize(kMaxHeaderSize);
  type_ = remaining ? TableType::kTimedUpdate : TableType::kUpdate;
  writer_.u32be(update_id);
  if (!remaining) return;
  writer_.u32be(static_cast<std::uint32_t>(std::clamp<Duration::rep>(remaining->count(), 0, kMaxTime)));
}

void UpdateEncoder::key(KeyType type, Bytes key) {
  if (type == KeyType::kString) writer_.varint(key.size());
  writer_.bytes(key);
}

void UpdateEncoder::rate(std::uint32_t age, std::uint32_t current, std::uint32_t previous) {
  writer_.varint(std::min(age, kMaxTime));
  writer_.varint(current);
  writer_.varint(previous);
}

void UpdateEncoder::server_key(std::string_view name) {
  if (name.empty() || name.size() > kMaxServerKey) {
    writer_.varint(0);
    return;
  }
  constexpr std::uint64_t kSlot = 1;
  writer_.varint(varint_size(kSlot) + varint_size(name.size()) + name.size());
  writer_.varint(kSlot);
  writer_.varint(name.size());
  writer_.bytes(as_bytes(name));
}

void UpdateEncoder::version(const VersionField& version) {
  writer_.varint(version.generation);
  writer_.varint(version.update_id);
  writer_.varint((version.cleared ? kCleared : 0) | (version.heard ? kHeard : 0) |
                 (version.owed ? kOwed : 0));
  for (const std::uint64_t change : version.changes) writer_.varint(change);
}

Bytes UpdateEncoder::finish() {
  std::byte header[2 + kMaxVarintSize] = {static_cast<std::byte>(MessageClass::kStickTable),
                                          static_cast<std::byte>(type_)};
  const std::byte* const end = encode_varint(buffer_.size() - kMaxHeaderSize, header + 2);
  const auto size = static_cast<std::size_t>(end - header);
  const auto at = buffer_.begin() + static_cast<std::ptrdiff_t>(kMaxHeaderSize - size);
  std::copy(header, header + size, at);
  return Bytes(buffer_).subspan(kMaxHeaderSize - size);
}

}  // namespace stickmesh::peers
