#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "agent/admin/answers.h"
#include "agent/admin/commands.h"
#include "agent/admin/peer_words.h"
#include "agent/admin/words.h"
#include "agent/pipeline/peer_link.h"

namespace stickmesh::admin {

namespace {

constexpr std::string_view kColumns =
    "# "
    "name\tkind\texpected\tdirection\tstate\tpid\taddress\tinputs\toutputs\tupdates_in\tupdates_out\tbacklog"
    "\theard_s\tsessions\tresyncs_in\tresyncs_out\thome\tnote\n";

// Where the peer is, or would be dialled.
std::string_view address(const pipeline::Peer& peer) {
  return peer.link == nullptr ? or_dash(peer.setup.address) : std::string_view(peer.link->source().text);
}

std::string_view lesson_words(pipeline::MeshLink::Lesson lesson) {
  switch (lesson) {
    case pipeline::MeshLink::Lesson::kEverything:
      return "everything";
    case pipeline::MeshLink::Lesson::kNotAcknowledged:
      return "what was not acknowledged before";
    case pipeline::MeshLink::Lesson::kNone:
      break;
  }
  return "-";
}

template <typename Number>
std::string number_or_dash(const std::optional<Number>& number) {
  return number ? fmt::format("{}", *number) : "-";
}

}  // namespace

std::string Commands::show_peers(TimePoint now) const {
  std::string out(kColumns);
  const auto put = std::back_inserter(out);
  constexpr peers::Traffic kNoTraffic;
  for (const pipeline::Peer& peer : hub_.peers()) {
    const pipeline::PeerLink* link = peer.link;
    const peers::Traffic& traffic = link == nullptr ? kNoTraffic : link->session().traffic();
    fmt::format_to(put, "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n",
                   cell(peer.setup.name), kind_words(peer), expected_words(peer), direction_words(peer),
                   state_words(peer, now), peer.pid, address(peer), link == nullptr ? 0 : link->tables_in(),
                   link == nullptr ? 0 : link->tables_out(), traffic.updates_in, traffic.updates_out,
                   link == nullptr ? 0 : link->backlog(),
                   seconds_ago(link == nullptr ? peer.last_seen : traffic.last_received, now), peer.sessions,
                   traffic.resyncs_in, traffic.resyncs_out, cell(home_words(hub_, peer)),
                   cell(note_words(hub_, peer)));
  }
  for (const pipeline::Stranger& stranger : hub_.strangers()) {
    fmt::format_to(put, "{}\t-\t-\tin\trefused\t0\t{}\t0\t0\t0\t0\t0\t{}\t{}\t0\t0\t-\t{}\n",
                   cell(stranger.name), stranger.source, seconds_ago(stranger.last, now), stranger.tries,
                   cell(stranger.note));
  }
  return out;
}

std::unique_ptr<Answer> Commands::show_peer(const Words& words, TimePoint now) {
  if (words.size() != 3) return refused("show peers", {Reason::kBadCommand, "show peers [NAME]"}, now);
  const std::string& name = words[2];
  const std::list<pipeline::Peer>& peers = std::as_const(hub_).peers();
  const auto found = std::find_if(peers.begin(), peers.end(),
                                  [&](const pipeline::Peer& peer) { return peer.setup.name == name; });
  if (found == peers.end()) {
    return refused("show peers", {Reason::kNotFound, fmt::format("there is no peer '{}'", name)}, now);
  }
  const pipeline::Peer& peer = *found;
  std::string out;
  const auto line = [&](std::string_view what, const auto& value) {
    fmt::format_to(std::back_inserter(out), "{}: {}\n", what, value);
  };
  line("Name", cell(name));
  line("Kind", kind_words(peer));
  line("Expected", expected_words(peer));
  line("Direction", direction_words(peer));
  line("State", state_words(peer, now));
  line("Pid", peer.pid);
  line("Address", address(peer));
  line("Sessions", peer.sessions);
  line("Home", or_dash(home_words(hub_, peer)));
  if (peer.setup.kind == pipeline::PeerKind::kAgent) {
    line("Home_here", or_dash(home_here(hub_)));
  } else {
    line("Totals_from", publisher_words(peer));
  }
  line("Note", cell(note_words(hub_, peer)));
  if (peer.link == nullptr) {
    line("Heard_sec", seconds_ago(peer.last_seen, now));
    return text_answer(std::move(out));
  }
  const peers::Traffic& traffic = peer.link->session().traffic();
  line("Heard_sec", seconds_ago(traffic.last_received, now));
  line("Backlog", peer.link->backlog());
  line("Updates_in", traffic.updates_in);
  line("Updates_out", traffic.updates_out);
  line("Acks_in", traffic.acks_in);
  line("Acks_out", traffic.acks_out);
  line("Resyncs_in", traffic.resyncs_in);
  line("Resyncs_in_answered", traffic.lessons_out);
  line("Resyncs_out", traffic.resyncs_out);
  line("Resyncs_out_answered", traffic.lessons_in);
  if (const pipeline::MeshLink* mesh = peer.link->mesh()) {
    line("Learns", lesson_words(mesh->learns()));
    line("Teaches", lesson_words(mesh->teaches()));
  }
  out += "# table\tdirection\tuse\tlast_pushed\tlast_acked\tbacklog\n";
  for (const pipeline::TableProgress& table : peer.link->progress()) {
    fmt::format_to(std::back_inserter(out), "{}\t{}\t{}\t{}\t{}\t{}\n", cell(table.name),
                   table.out ? "out" : "in", table.use, table.pushed, number_or_dash(table.acknowledged),
                   number_or_dash(table.backlog));
  }
  return text_answer(std::move(out));
}

}  // namespace stickmesh::admin
