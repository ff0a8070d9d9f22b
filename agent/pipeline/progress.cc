#include "agent/pipeline/progress.h"

#include <algorithm>

#include "agent/pipeline/peer_link.h"

namespace stickmesh::pipeline {

std::vector<TableProgress> PeerLink::progress() const {
  if (mesh_) return mesh_->progress();
  std::vector<TableProgress> all;
  const Rules& rules = hub_.registry().rules();
  const auto mismatch = [&](std::string_view name) {
    return std::any_of(inputs_.begin(), inputs_.end(), [&](const Input& input) {
      return !input.problem.empty() && input.definition.name == name;
    });
  };
  for (const peers::TableTaken& table : session_.tables_taken()) {
    const std::string_view name = canonical_name(table.name);
    const Treatment::Kind kind = rules.treat(name).kind;
    const std::string_view use = rules.is_status(name)                 ? "marks"
                                 : rules.is_limits(name)               ? "limits"
                                 : kind == Treatment::Kind::kOutput    ? "total"
                                 : !table.taken                        ? "left out"
                                 : mismatch(table.name)                ? "mismatch"
                                 : kind == Treatment::Kind::kReplicate ? "replicated"
                                                                       : "counted";
    all.push_back({std::string(table.name), false, use, table.pushed, table.acknowledged, {}});
  }
  subscriptions_.add_progress(all);
  if (status_.wanted())
    all.push_back({std::string(status_.name()), true, "marks", status_.pushed(), status_.acknowledged(), {}});
  if (limits_.wanted())
    all.push_back(
        {std::string(limits_.name()), true, "limits", limits_.pushed(), limits_.acknowledged(), {}});
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
  if (row_id_ != 0) all.push_back({std::string(kMeshTable), true, "agents", row_id_, row_acknowledged_, {}});
  sending_.add_progress(all);
  return all;
}

void MeshLink::acknowledged(peers::TableId table, std::uint32_t update_id) {
  if (table != kRowTable) return sending_.acknowledged(table, update_id);
  row_acknowledged_ = update_id;
}

void TableSending::add_progress(std::vector<TableProgress>& all) const {
  for (const Sending& sending : sending_) {
    all.push_back({sending.record->table->name(),
                   true,
                   "all origins",
                   static_cast<std::uint32_t>(sending.cursor),
                   {},
                   backlog(sending)});
    const std::size_t first = all.size();
    for (const auto& [origin, outgoing] : sending.outgoing) {
      const std::size_t index = outgoing.number - first_table_;
      const std::uint32_t taken = index < acknowledged_.size() ? acknowledged_[index] : 0;
      all.push_back({outgoing.definition.name, true, "one origin", outgoing.pushed, taken, {}});
    }
    std::sort(all.begin() + static_cast<std::ptrdiff_t>(first), all.end(),
              [](const TableProgress& left, const TableProgress& right) { return left.name < right.name; });
  }
}

}  // namespace stickmesh::pipeline
