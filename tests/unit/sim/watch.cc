#include "tests/unit/sim/watch.h"

#include <fmt/format.h>

#include <algorithm>

namespace stickmesh::sim {

void Watch::look() {
  Agent* agent = cluster_.agent();
  if (agent == nullptr || agent->pid() != agent_pid_) {
    // What it had not been told yet is lost with it, and what it held too, until it has learned again.
    for (Instance& instance : instances_) instance = Instance();
    agent_pid_ = agent == nullptr ? 0 : agent->pid();
    return;
  }
  for (std::size_t instance = 0; instance < instances_.size(); ++instance) {
    for (std::size_t key = 0; key < kKeys; ++key) look_at(instance, key);
  }
}

std::optional<Watch::Counted> Watch::held(std::size_t instance, std::size_t key) {
  const store::Table* table = cluster_.agent()->table("http");
  const store::EntryId entry = table == nullptr ? store::kNone : table->find(as_bytes(key_name(key)));
  if (entry == store::kNone) return std::nullopt;
  const store::ContributionId id = table->find(entry, *cluster_.agent()->origin(cluster_.name(instance)));
  if (id == store::kNone || !table->live(id, cluster_.now())) return std::nullopt;
  return Counted{table->number(id, *table->layout().find(DataType::kHttpReqCnt), 0), table->expires(id)};
}

void Watch::look_at(std::size_t instance, std::size_t key) {
  std::optional<Counted>& least = instances_[instance].least[key];
  if (least && least->end <= cluster_.now()) least.reset();
  const std::optional<Counted> now = held(instance, key);
  if (!now) return least.reset();
  const auto expect = [&](std::string_view who, std::uint64_t requests) {
    if (!least || requests >= least->requests) return;
    problems_.push_back(fmt::format("{} {}: an earlier process had counted {}, {} only {}",
                                    cluster_.name(instance), key_name(key), least->requests, who, requests));
  };
  const Process* process = cluster_.process(instance);
  const bool knows_all = process != nullptr && process->resync() == Process::Resync::kFinished;
  if (!knows_all) return expect("and now the agent holds", now->requests);
  const StickTable::Entry* own = process->input().find(key_name(key));
  if (own == nullptr) return least.reset();
  if (process->restored()) expect("and the one that the agent has taught has", own->values.http_req_cnt);
  least = Counted{std::min<std::uint64_t>(now->requests, own->values.http_req_cnt),
                  std::min(now->end, own->expires)};
}

}  // namespace stickmesh::sim
