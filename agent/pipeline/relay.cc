#include "agent/pipeline/relay.h"

#include <fmt/format.h>

#include <algorithm>

namespace stickmesh::pipeline {

Relay::Relay(store::Table& table) : table_(&table), redefinitions_(table.redefinitions()) {}

void Relay::publish() {
  // The rows that its places speak of went with the old definition.
  if (std::exchange(redefinitions_, table_->redefinitions()) != table_->redefinitions()) sequences_.clear();
  if (!table_->has_heard()) return;
  table_->take_heard([this](store::ContributionId contribution) { note(contribution); });
  feed_.compact(table_->contributions(), [this](const auto& place) { return newest(place); });
}

void Relay::go_on(std::span<const store::ChangeFeed::Place> places, std::uint64_t last) {
  table_->take_heard([](store::ContributionId) {});
  feed_.begin_again();
  sequences_.clear();
  for (const store::ChangeFeed::Place& place : places) {
    feed_.skip_to(place.sequence - 1);
    note(place.entry);
  }
  feed_.skip_to(last);
}

void Relay::note(store::ContributionId contribution) {
  if (contribution >= sequences_.size()) {
    sequences_.resize(std::max<std::size_t>(contribution + std::size_t{1}, 2 * sequences_.size()));
  }
  sequences_[contribution] = feed_.publish(contribution);
}

TableDefinition Relay::announced(store::OriginId origin) const {
  TableDefinition definition = table_->copied_definition(origin);
  definition.name = fmt::format("{}@{}", table_->name(), table_->shared().origins[origin].name);
  definition.versioned = true;
  return definition;
}

TableDefinition Relay::announced(store::OriginId origin, store::OriginId writer) const {
  TableDefinition definition = announced(origin);
  definition.name += '@';
  if (writer != store::kNobody) definition.name += table_->shared().origins[writer].name;
  return definition;
}

Bytes Relay::encode(store::ContributionId contribution, std::uint32_t update_id, TimePoint now, bool whole) {
  const store::Table& table = *table_;
  const store::Copy copy = table.copy(contribution, buffer_, now);
  encoder_.begin(update_id, std::clamp(copy.expires - now, Duration(1), Duration(peers::kMaxTime)));
  encoder_.key(table.definition().key_type, copy.key);
  std::size_t at = 0;
  for (const store::Column& column : table.layout().columns()) {
    if (!table.stores(contribution, column.type)) continue;
    for (std::uint32_t element = 0; element < column.elements; ++element) {
      switch (column.kind) {
        case ValueKind::kRate:
          encoder_.rate(static_cast<std::uint32_t>(std::min<std::uint64_t>(copy.cells[at], peers::kMaxTime)),
                        static_cast<std::uint32_t>(copy.cells[at + 1]),
                        static_cast<std::uint32_t>(copy.cells[at + 2]));
          at += 3;
          break;
        case ValueKind::kDictionary:
          encoder_.server_key(copy.server_key);
          ++at;
          break;
        case ValueKind::kSigned32:
        case ValueKind::kUnsigned32:
        case ValueKind::kUnsigned64:
          encoder_.number(copy.cells[at++]);
          break;
      }
    }
  }
  encoder_.version({copy.version.generation, copy.version.update_id, copy.cleared, copy.changes,
                    whole && !table.adopted(contribution), whole && copy.owed});
  return encoder_.finish();
}

RelayedName split_relayed(std::string_view name) {
  const std::size_t at = name.find('@');
  if (at == std::string_view::npos) return {name, {}, {}};
  const std::string_view rest = name.substr(at + 1);
  const std::size_t next = rest.find('@');
  if (next == std::string_view::npos || !is_incarnation(rest.substr(0, next)))
    return {name.substr(0, at), rest, {}};
  return {name.substr(0, at), rest.substr(0, next), rest.substr(next + 1)};
}

bool is_incarnation(std::string_view origin) {
  const std::size_t at = origin.rfind('#');
  return at != std::string_view::npos && at + 1 < origin.size() &&
         origin.find_first_not_of("0123456789", at + 1) == std::string_view::npos;
}

}  // namespace stickmesh::pipeline
