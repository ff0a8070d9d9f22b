#include <fmt/format.h>

#include <iterator>

#include "agent/admin/commands.h"
#include "agent/admin/spoe_source.h"
#include "agent/admin/words.h"

namespace stickmesh::admin {

std::string Commands::show_spoe(TimePoint now) const {
  const SpoeOverview overview = spoe_ != nullptr ? spoe_->overview(now) : SpoeOverview{};
  std::string out;
  for (const auto& [name, number] : overview.numbers) {
    fmt::format_to(std::back_inserter(out), "{}: {}\n", name, number);
  }
  out += "# address\tengine\tstate\tage_s\tframe_size\tevents\tnot_ok\tin_flight\n";
  for (const SpoeConnection& connection : overview.connections) {
    fmt::format_to(std::back_inserter(out), "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", cell(connection.address),
                   or_dash(cell(connection.engine)), connection.state, seconds_ago(connection.since, now),
                   connection.frame_size, connection.events, connection.not_ok, connection.in_flight);
  }
  return out;
}

}  // namespace stickmesh::admin
