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
  out += "# error\tcount\n";
  for (const auto& [kind, count] : overview.errors) {
    fmt::format_to(std::back_inserter(out), "{}\t{}\n", cell(kind), count);
  }
  return out;
}

}  // namespace stickmesh::admin
