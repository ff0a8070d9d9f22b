#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/peers/session/session.h"
#include "agent/peers/wire/entry_update.h"

namespace stickmesh::pipeline {

/// One of the tables that agents write besides totals, as one instance has announced it: a string key and
/// some of gpt0, gpc0 and gpc1. Rows live only until the next is due, so nothing of them is remembered.
class RowTable {
 public:
  explicit RowTable(peers::TableId number) : number_(number) {}

  struct Row {
    std::string_view key;
    std::uint32_t gpt0 = 0;
    std::uint32_t gpc0 = 0;
    std::uint32_t gpc1 = 0;
  };

  /// An error, which also stays as `problem`, says how to declare the table; rows that can be written are
  /// written all the same. Nothing is returned for a problem that was told before.
  Result<void> announced(const TableDefinition& definition);
  bool wanted() const { return definition_.has_value(); }
  const std::string& problem() const { return problem_; }
  /// Only when it is `wanted`.
  std::string_view name() const { return definition_->name; }
  std::uint32_t pushed() const { return update_id_; }
  std::uint32_t acknowledged() const { return acknowledged_; }
  void acknowledge(std::uint32_t update_id) { acknowledged_ = update_id; }
  void send(peers::PeerSession& session, const Row& row, Duration remaining);

 private:
  peers::TableId number_;
  std::optional<TableDefinition> definition_;
  std::string problem_;
  std::uint32_t update_id_ = 0;
  std::uint32_t acknowledged_ = 0;
  peers::UpdateEncoder encoder_;
};

}  // namespace stickmesh::pipeline
