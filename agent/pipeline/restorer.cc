#include "agent/pipeline/restorer.h"

#include <algorithm>

namespace stickmesh::pipeline {

using store::Column;
using store::ContributionId;
using store::kNone;

namespace {

constexpr std::size_t kLookedAtOnce = 20'000;

}  // namespace

void Restorer::begin(const TableDefinition& announced) {
  definition_ = announced;
  // The connections of the lost process are gone; 2.5.0 misreads what follows one (peers-protocol 6).
  std::erase_if(definition_.types,
                [](const StoredType& stored) { return stored.type == DataType::kConnCur; });
  next_ = 0;
}

bool Restorer::run(peers::PeerSession& session, peers::TableId number, const store::Table& table,
                   store::OriginId origin, std::uint32_t generation, std::size_t backlog, TimePoint now) {
  for (std::size_t looked = 0; looked < kLookedAtOnce; ++looked) {
    if (session.pending().size() >= backlog) return false;
    const store::EntryId entry = table.next(next_);
    if (entry == kNone) return true;
    next_ = entry + 1;
    const ContributionId id = table.find(entry, origin);
    if (id == kNone || !table.live(id, now) || table.version(id).generation >= generation) continue;
    session.select(number, definition_);
    session.append_update(encode(table, id, table.key(entry), now));
  }
  return false;
}

Bytes Restorer::encode(const store::Table& table, ContributionId id, Bytes key, TimePoint now) {
  std::optional<Duration> remaining;
  if (definition_.expire.count() != 0) remaining = std::min(table.expires(id) - now, definition_.expire);
  if (++update_id_ == 0) ++update_id_;
  encoder_.begin(update_id_, remaining);
  encoder_.key(definition_.key_type, key);
  for (const StoredType& stored : definition_.types) {
    const Column& column = *table.layout().find(stored.type);
    for (std::uint32_t element = 0; element < column.elements; ++element) {
      switch (column.kind) {
        case ValueKind::kRate: {
          const store::RateValue rate = table.rate(id, column, element);
          const Duration age = std::max(now - rate.start, Duration(0));
          const bool over = age > 2 * column.period;
          encoder_.rate(over ? 0 : static_cast<std::uint32_t>(age.count()), over ? 0 : rate.current,
                        over ? 0 : rate.previous);
          break;
        }
        case ValueKind::kDictionary:
          encoder_.server_key(table.text(id, column));
          break;
        case ValueKind::kSigned32:
        case ValueKind::kUnsigned32:
        case ValueKind::kUnsigned64:
          encoder_.number(table.number(id, column, element));
          break;
      }
    }
  }
  return encoder_.finish();
}

}  // namespace stickmesh::pipeline
