#include "agent/pipeline/progress.h"

#include <algorithm>

#include "agent/pipeline/peer_link.h"

namespace stickmesh::pipeline {

std::vector<TableProgress> PeerLink::progress() const {
  if (mesh_) return mesh_->progress();
  std::vector<TableProgress> all;
  const Rules& rules = hub_.registry().rules();
  for (const peers::TableTaken& table : session_.tables_taken()) {
    const std::string_view name = canonical_name(table.name);
    const Treatment::Kind kind = rules.treat(name).kind;
    const std::string_view use = rules.is_status(name)                 ? "marks"
                                 : kind == Treatment::Kind::kOutput    ? "total"
                                 : !table.taken                        ? "left out"
                                 : kind == Treatment::Kind::kReplicate ? "replicated"
                                                                       : "counted";
    all.push_back({std::string(table.name), false, use, table.pushed, table.acknowledged, {}});
  }
  subscriptions_.add_progress(all);
  if (status_.wanted())
    all.push_back({std::string(status_.name()), true, "marks", status_.pushed(), status_.acknowledged(), {}});
  return all;
}

// Numbers of an earlier session count where the same process goes on with them.
void Subscriptions::add_progress(std::vector<TableProgress>& all) const {
  for (const Subscription& subscription : subscriptions_) {
    const Output& output = *subscription.record->output;
    const std::string_view use = !subscription.shape   ? "left out"
                                 : output.replicated() ? "replicated"
                                                       : "total";
    const auto pushed = static_cast<std::uint32_t>(std::max(subscription.written, subscription.acknowledged));
    all.push_back({subscription.announced.name, true, use, pushed,
                   static_cast<std::uint32_t>(subscription.acknowledged), backlog(subscription)});
  }
}

std::vector<TableProgress> MeshLink::progress() const {
  std::vector<TableProgress> all;
  for (const peers::TableTaken& table : session_.tables_taken()) {
    const std::string_view use = table.name == kMeshTable ? "agents"
                                 : table.taken            ? "one origin"
                                                          : "left out";
    all.push_back({std::string(table.name), false, use, table.pushed, table.acknowledged, {}});
  }
  const auto acknowledged = [&](peers::TableId table) {
    return table < acknowledged_.size() ? acknowledged_[table] : 0;
  };
  if (row_id_ != 0) {
    all.push_back({std::string(kMeshTable), true, "agents", row_id_, acknowledged(kRowTable), {}});
  }
  for (const Sending& sending : sending_) {
    all.push_back({sending.record->table->name(),
                   true,
                   "all origins",
                   static_cast<std::uint32_t>(sending.cursor),
                   {},
                   backlog(sending)});
    for (const Outgoing& outgoing : sending.origins) {
      if (outgoing.number == 0) continue;
      all.push_back(
          {outgoing.definition.name, true, "one origin", outgoing.pushed, acknowledged(outgoing.number), {}});
    }
  }
  return all;
}

// Any number may come in an acknowledgement.
void MeshLink::acknowledged(peers::TableId table, std::uint32_t update_id) {
  if (table >= next_table_) return;
  if (table >= acknowledged_.size()) acknowledged_.resize(next_table_);
  acknowledged_[table] = update_id;
}

}  // namespace stickmesh::pipeline
