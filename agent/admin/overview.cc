#include <fmt/format.h>
#include <unistd.h>

#include <iterator>

#include "agent/admin/commands.h"
#include "agent/admin/words.h"
#include "agent/pipeline/hub.h"

namespace stickmesh::admin {

std::string Commands::show_info(TimePoint now) const {
  const pipeline::Registry& registry = hub_.registry();
  std::size_t entries = 0;
  std::size_t contributions = 0;
  std::uint64_t updates = 0;
  for (const auto& [name, record] : registry.tables()) {
    entries += record.table->entries();
    contributions += record.table->contributions();
    updates += record.table->counters().updates;
  }
  std::size_t sessions = 0;
  for (const pipeline::Peer& peer : hub_.peers()) sessions += peer.link != nullptr ? 1U : 0U;
  std::uint64_t refusals = 0;
  for (std::size_t reason = 0; reason < kReasonCount; ++reason) {
    refusals += hub_.errors().count(static_cast<Reason>(reason));
  }
  std::string out;
  const auto line = [&](std::string_view name, const auto& value) {
    fmt::format_to(std::back_inserter(out), "{}: {}\n", name, value);
  };
  line("Name", "stickmesh");
  line("Version", STICKMESH_VERSION);
  line("Agent", hub_.setup().agent_name);
  line("Pid", getpid());
  line("Uptime_sec", (now - started_).count() / 1000);
  line("Config", hub_.setup().config_file);
  line("Sessions", sessions);
  const pipeline::Hub::Attendance here = hub_.attendance(now);
  line("Expected_origins", here.expected);
  line("Present_origins", here.present);
  line("Origins", registry.origins().size());
  line("Tables", registry.tables().size());
  line("Entries", entries);
  line("Contributions", contributions);
  line("Updates", updates);
  line("Memory_bytes", registry.budget().used());
  line("Max_memory_bytes", registry.budget().limit());
  line("Server_mismatches", hub_.servers().standing());
  line("Server_mismatches_total", hub_.servers().reported());
  for (const NumbersSource* source : info_) {
    for (const auto& [name, number] : source->numbers()) line(name, number);
  }
  line("Errors", refusals);
  return out;
}

std::string Commands::show_tables() const {
  std::string out =
      "# "
      "name\tentries\tcontributions\torigins\toutput\tupdates\tpublished\tfalls\tstale\texpired\tpurged\trefu"
      "sed\tsaturated\t"
      "memory\tdefinition\n";
  for (const auto& [name, record] : hub_.registry().tables()) {
    const store::Table& table = *record.table;
    const store::TableCounters& counters = table.counters();
    const pipeline::Output* output = record.output.get();
    fmt::format_to(std::back_inserter(out), "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}{}\n",
                   name, table.entries(), table.contributions(), record.definitions.size(),
                   output != nullptr ? or_dash(output->name()) : "-", counters.updates,
                   output != nullptr ? output->published() : 0, counters.falls, counters.stale,
                   counters.expired, counters.purged, counters.refused,
                   output != nullptr ? output->saturated() : 0,
                   table.memory() + (output != nullptr ? output->memory() : 0) +
                       (record.relay ? record.relay->memory() : 0),
                   describe(table.definition()), record.purging ? " (purging: totals are too low)" : "");
  }
  return out;
}

std::string Commands::show_errors() const {
  std::string out = "# reason\tcount\n";
  for (std::size_t index = 0; index < kReasonCount; ++index) {
    const auto reason = static_cast<Reason>(index);
    if (hub_.errors().count(reason) == 0) continue;
    fmt::format_to(std::back_inserter(out), "{}\t{}\n", reason_name(reason), hub_.errors().count(reason));
  }
  out += "# newest last: time\treason\twhere\tdetail\n";
  for (const ErrorLog::Record& record : hub_.errors().recent()) {
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(record.when.time_since_epoch()).count();
    fmt::format_to(std::back_inserter(out), "{}\t{}\t{}\t{}\n", seconds, reason_name(record.reason),
                   cell(record.where), cell(record.detail));
  }
  return out;
}

}  // namespace stickmesh::admin
