#include <fmt/format.h>

#include <iterator>

#include "agent/admin/commands.h"
#include "agent/admin/redis_source.h"
#include "agent/admin/words.h"

namespace stickmesh::admin {

std::string Commands::show_redis(TimePoint now) const {
  if (redis_ == nullptr) return "State: off\n";
  const RedisOverview overview = redis_->overview(now);
  std::string out;
  for (const auto& [name, value] : overview.lines) {
    fmt::format_to(std::back_inserter(out), "{}: {}\n", name, cell(value));
  }
  if (!overview.masters.empty()) {
    out += "# master\tstate\tslots\tin_flight\tbehind\tcontributions_behind\tbehind_ms\twritten\n";
  }
  for (const RedisMaster& master : overview.masters) {
    fmt::format_to(std::back_inserter(out), "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", cell(master.address),
                   cell(master.state), master.slots, master.in_flight, master.behind,
                   master.contributions_behind, master.behind_for.count(), master.written);
  }
  out += "# error\tcount\n";
  for (const auto& [kind, count] : overview.errors) {
    fmt::format_to(std::back_inserter(out), "{}\t{}\n", cell(kind), count);
  }
  return out;
}

}  // namespace stickmesh::admin
