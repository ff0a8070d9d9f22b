#include "agent/pipeline/row_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/pipeline/peer.h"

namespace stickmesh::pipeline {

Result<void> RowTable::announced(const TableDefinition& definition) {
  definition_ = definition;
  std::erase_if(definition_->types, [](const StoredType& stored) {
    return stored.type != DataType::kGpt0 && stored.type != DataType::kGpc0 && stored.type != DataType::kGpc1;
  });
  std::string_view what;
  if (definition.key_type != KeyType::kString) {
    what = "needs strings as keys";
    definition_.reset();
  } else if (definition_->find(DataType::kGpt0) == nullptr) {
    what = "lacks gpt0";
    definition_.reset();
  } else if (definition.expire.count() == 0 || definition.expire > kMarkLife) {
    what = "keeps its rows for longer than they are true";
  }
  std::string problem;
  if (!what.empty()) {
    problem = fmt::format(
        "table {} ('{}') {}: declare it as `type string len 64 size 1k expire 2s store "
        "gpt0,gpc0,gpc1`",
        canonical_name(definition.name), describe(definition), what);
  }
  if (std::exchange(problem_, problem) == problem || problem.empty()) return {};
  return refuse(Reason::kDefinitionMismatch, std::move(problem));
}

void RowTable::send(peers::PeerSession& session, const Row& row, Duration remaining) {
  if (!definition_ || remaining.count() <= 0) return;
  if (++update_id_ == 0) ++update_id_;
  std::optional<Duration> left;
  if (definition_->expire.count() != 0) left = std::min(remaining, definition_->expire);
  encoder_.begin(update_id_, left);
  encoder_.key(KeyType::kString, as_bytes(row.key.substr(0, definition_->key_size - 1)));
  for (const StoredType& stored : definition_->types) {
    encoder_.number(stored.type == DataType::kGpt0   ? row.gpt0
                    : stored.type == DataType::kGpc0 ? row.gpc0
                                                     : row.gpc1);
  }
  session.select(number_, *definition_);
  session.append_update(encoder_.finish());
}

}  // namespace stickmesh::pipeline
