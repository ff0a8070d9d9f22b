#include "agent/peers/wire/definition.h"

#include <fmt/format.h>

#include <limits>

#include "agent/base/printable.h"
#include "agent/peers/wire/message.h"

namespace stickmesh::peers {

namespace {

bool is_rate(DataType type) {
  return traits(type).kind == ValueKind::kRate;
}
bool has_parameters(DataType type) {
  return traits(type).array || is_rate(type);
}

bool key_fits(std::uint64_t type, std::uint64_t size) {
  if (type > std::numeric_limits<std::uint8_t>::max()) return false;
  switch (static_cast<KeyType>(type)) {
    case KeyType::kInteger:
    case KeyType::kIpv4:
      return size == 4;
    case KeyType::kIpv6:
      return size == 16;
    case KeyType::kString:
    case KeyType::kBinary:
      return size >= 1 && size <= kMaxKeySize;
  }
  return false;
}

template <typename... Args>
tl::unexpected<Error> bad(std::string_view table, fmt::format_string<Args...> what, Args&&... args) {
  return refuse(Reason::kBadDefinition,
                fmt::format("table {}: ", printable(table)) + fmt::format(what, std::forward<Args>(args)...));
}

/// Reads the parameters of |stored|, whose type is known from the bitfield.
Result<void> read_parameters(Reader& reader, std::string_view table, StoredType& stored) {
  const std::string_view type_name = traits(stored.type).name;
  const std::uint64_t type = reader.varint();
  if (reader.ok() && type != static_cast<std::uint64_t>(stored.type)) {
    return bad(table, "parameters of type {} where those of {} belong", type, type_name);
  }
  if (traits(stored.type).array) {
    const std::uint64_t elements = reader.varint();
    if (reader.ok() && (elements < 1 || elements > kMaxArrayElements)) {
      return bad(table, "{} with {} elements", type_name, elements);
    }
    stored.elements = static_cast<std::uint32_t>(elements);
  }
  if (is_rate(stored.type)) {
    const std::uint64_t period = reader.varint();
    if (reader.ok() && (period < 1 || period > kMaxTime)) {
      return bad(table, "{} with a period of {} ms", type_name, period);
    }
    stored.period = Duration(period);
  }
  if (!reader.ok()) return bad(table, "parameters of {} missing", type_name);
  return {};
}

void encode_body(TableId id, const TableDefinition& definition, Writer& out) {
  out.varint(id);
  out.varint(definition.name.size());
  out.bytes(as_bytes(definition.name));
  out.varint(static_cast<std::uint64_t>(definition.key_type));
  out.varint(definition.key_size);
  std::uint64_t types = 0;
  for (const StoredType& stored : definition.types) types |= 1ULL << static_cast<unsigned>(stored.type);
  if (definition.versioned) types |= 1ULL << kVersionBit;
  out.varint(types);
  out.varint(static_cast<std::uint64_t>(definition.expire.count()));
  for (const StoredType& stored : definition.types) {
    if (!has_parameters(stored.type)) continue;
    out.varint(static_cast<std::uint64_t>(stored.type));
    if (traits(stored.type).array) out.varint(stored.elements);
    if (is_rate(stored.type)) out.varint(static_cast<std::uint64_t>(stored.period.count()));
  }
}

}  // namespace

void encode_definition(TableId id, const TableDefinition& definition, Writer& out) {
  std::vector<std::byte> body;
  Writer body_writer(body);
  encode_body(id, definition, body_writer);
  encode_table_header(TableType::kDefinition, body.size(), out);
  out.bytes(body);
}

Result<DefinedTable> decode_definition(Bytes body) {
  Reader reader(body);
  const std::uint64_t id = reader.varint_up_to(std::numeric_limits<TableId>::max());
  const std::string_view name = as_text(reader.bytes(reader.varint()));
  const std::uint64_t key_type = reader.varint();
  const std::uint64_t key_size = reader.varint();
  const std::uint64_t types = reader.varint();
  // HAProxy before 1.9 ended here.
  const bool has_expire = reader.remaining() > 0;
  const std::uint64_t expire = has_expire ? reader.varint() : 0;
  if (!reader.ok()) return refuse(reader.failure(), "table definition");

  if (name.empty()) return refuse(Reason::kBadDefinition, "a table without a name");
  if (name.size() > kMaxTableName) return bad(name, "a name of {} bytes", name.size());
  if (has_control_character(name)) return bad(name, "a control character in its name");
  if (id == 0) return bad(name, "number 0");
  if (!key_fits(key_type, key_size)) return bad(name, "key type {} of size {}", key_type, key_size);
  if (expire > kMaxTime) return bad(name, "expire of {} ms", expire);

  DefinedTable table;
  table.id = static_cast<TableId>(id);
  table.definition.name = name;
  table.definition.key_type = static_cast<KeyType>(key_type);
  table.definition.key_size = static_cast<std::uint32_t>(key_size);
  table.definition.expire = Duration(expire);
  table.definition.versioned = (types >> kVersionBit & 1U) != 0;
  for (std::size_t bit = 0; bit < kDataTypeCount; ++bit) {
    if ((types >> bit & 1U) == 0) continue;
    StoredType stored{static_cast<DataType>(bit)};
    if (has_parameters(stored.type)) {
      if (Result<void> read = read_parameters(reader, name, stored); !read)
        return tl::unexpected(read.error());
    }
    table.definition.types.push_back(stored);
  }
  return table;
}

void encode_switch(TableId id, Writer& out) {
  encode_table_header(TableType::kSwitch, varint_size(id), out);
  out.varint(id);
}

Result<TableId> decode_switch(Bytes body) {
  Reader reader(body);
  const std::uint64_t id = reader.varint_up_to(std::numeric_limits<TableId>::max());
  if (!reader.ok()) return refuse(reader.failure(), "table switch");
  return static_cast<TableId>(id);
}

}  // namespace stickmesh::peers
