#include <fmt/format.h>
#include <unistd.h>

#include <iterator>

#include "agent/admin/commands.h"
#include "agent/pipeline/peer_link.h"

namespace stickmesh::admin {

namespace {

std::string seconds_ago(TimePoint when, TimePoint now) {
  return when == TimePoint{} ? "-" : fmt::format("{:.1f}", static_cast<double>((now - when).count()) / 1000);
}

std::string_view or_dash(std::string_view text) {
  return text.empty() ? "-" : text;
}

// A cell of a table whose columns are separated by tabs.
std::string cell(std::string_view text) {
  std::string out(or_dash(text));
  for (char& c : out) {
    if (c == '\t' || c == '\n') c = ' ';
  }
  return out;
}

std::string_view expected_words(const pipeline::Peer& peer) {
  if (peer.setup.kind == pipeline::PeerKind::kAgent) return "-";
  return peer.maintenance ? "maint (runtime)" : peer.configured ? "yes" : "until forgotten";
}

std::string_view agent_words(const pipeline::MeshLink& link, TimePoint now) {
  if (!link.speaks()) return "up, says nothing of an agent's";
  if (!link.fresh(now, pipeline::kMarkLife)) return "behind";
  if (!link.learned()) return "up, it is learning";
  return link.synchronised() ? "synchronised" : "learning";
}

std::string_view state_words(const pipeline::Peer& peer, TimePoint now) {
  if (peer.link == nullptr) return peer.last_seen == TimePoint{} ? "never connected" : "away";
  if (peer.link->mesh() != nullptr) return agent_words(*peer.link->mesh(), now);
  if (peer.link->synchronised()) return "synchronised";
  return peer.link->session().learning() ? "learning" : "up, not synchronised";
}

}  // namespace

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
  line("Errors", refusals);
  return out;
}

std::string Commands::show_peers(TimePoint now) const {
  std::string out =
      "# "
      "name\tkind\texpected\tdirection\tstate\tpid\taddress\tinputs\toutputs\tupdates_in\tupdates_"
      "out\tbacklog\theard_"
      "s\tsessions\tnote\n";
  const auto put = std::back_inserter(out);
  for (const pipeline::Peer& peer : hub_.peers()) {
    const std::string_view kind = peer.setup.kind == pipeline::PeerKind::kAgent ? "agent" : "haproxy";
    if (peer.link == nullptr) {
      fmt::format_to(put, "{}\t{}\t{}\t-\t{}\t{}\t{}\t0\t0\t0\t0\t0\t{}\t{}\t{}\n", cell(peer.setup.name),
                     kind, expected_words(peer), state_words(peer, now), peer.pid,
                     or_dash(peer.setup.address), seconds_ago(peer.last_seen, now), peer.sessions,
                     cell(peer.note));
      continue;
    }
    const pipeline::PeerLink& link = *peer.link;
    const peers::Traffic& traffic = link.session().traffic();
    const std::string problems = link.problems();
    const std::string note = peer.note + (peer.note.empty() || problems.empty() ? "" : "; ") + problems;
    fmt::format_to(put, "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", cell(peer.setup.name),
                   kind, expected_words(peer), link.session().role() == peers::Role::kDialling ? "out" : "in",
                   state_words(peer, now), peer.pid, link.source().text, link.tables_in(), link.tables_out(),
                   traffic.updates_in, traffic.updates_out, link.backlog(),
                   seconds_ago(traffic.last_received, now), peer.sessions, cell(note));
  }
  for (const pipeline::Stranger& stranger : hub_.strangers()) {
    fmt::format_to(put, "{}\t-\t-\tin\trefused\t0\t{}\t0\t0\t0\t0\t0\t{}\t{}\t{}\n", cell(stranger.name),
                   stranger.source, seconds_ago(stranger.last, now), stranger.tries, cell(stranger.note));
  }
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
                   output != nullptr ? output->name() : "-", counters.updates,
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
