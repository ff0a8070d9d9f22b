#include "agent/admin/peer_words.h"

#include "agent/pipeline/peer_link.h"

namespace stickmesh::admin {

namespace {

using pipeline::Hub;
using pipeline::Peer;
using pipeline::PeerKind;

std::string_view agent_words(const pipeline::MeshLink& link, TimePoint now) {
  if (!link.speaks()) return "up, says nothing of an agent's";
  if (!link.fresh(now, pipeline::kMarkLife)) return "behind";
  if (!link.learned()) return "up, it is learning";
  return link.synchronised() ? "synchronised" : "learning";
}

/// The session with an agent; null with an instance, and without one.
const pipeline::MeshLink* mesh(const Peer& peer) {
  return peer.link == nullptr ? nullptr : peer.link->mesh();
}

void add(std::string& list, std::string_view separator, std::string_view text) {
  if (text.empty()) return;
  if (!list.empty()) list += separator;
  list += text;
}

}  // namespace

std::string_view kind_words(const Peer& peer) {
  return peer.setup.kind == PeerKind::kAgent ? "agent" : "haproxy";
}

std::string_view expected_words(const Peer& peer) {
  if (peer.setup.kind == PeerKind::kAgent) return "-";
  return peer.maintenance ? "maint (runtime)" : peer.configured ? "yes" : "until forgotten";
}

std::string_view direction_words(const Peer& peer) {
  if (peer.link == nullptr) return "-";
  return peer.link->session().role() == peers::Role::kDialling ? "out" : "in";
}

std::string_view state_words(const Peer& peer, TimePoint now) {
  if (peer.link == nullptr) return peer.last_seen == TimePoint{} ? "never connected" : "away";
  if (peer.link->mesh() != nullptr) return agent_words(*peer.link->mesh(), now);
  if (peer.link->synchronised()) return "synchronised";
  return peer.link->session().learning() ? "learning" : "up, not synchronised";
}

std::string_view publisher_words(const Peer& peer) {
  if (peer.link == nullptr || peer.setup.kind == PeerKind::kAgent) return "-";
  switch (peer.link->publishing()) {
    case Hub::Publishing::kHere:
      return "this agent";
    case Hub::Publishing::kElsewhere:
      return "another agent";
    case Hub::Publishing::kReplicasOnly:
      return "nobody (replicated tables: this agent)";
    case Hub::Publishing::kNowhere:
      break;
  }
  return "nobody";
}

std::string home_words(const Hub& hub, const Peer& peer) {
  std::string all;
  if (peer.setup.kind == PeerKind::kAgent) {
    const pipeline::MeshLink* agent = mesh(peer);
    const store::Origins& origins = hub.registry().origins();
    for (store::OriginId origin = 0; agent != nullptr && origin < origins.size(); ++origin) {
      const pipeline::OriginRow* row = agent->row(origin);
      if (row != nullptr && row->home) add(all, ",", origins[origin].name);
    }
    return all;
  }
  if (peer.link != nullptr) all = "here";
  for (const Peer& other : hub.peers()) {
    const pipeline::MeshLink* agent = mesh(other);
    const pipeline::OriginRow* row = agent == nullptr ? nullptr : agent->row(peer.origin);
    if (row != nullptr && row->home) add(all, ",", other.setup.name);
  }
  return all;
}

std::string home_here(const Hub& hub) {
  std::string all;
  for (const Peer& peer : hub.peers()) {
    if (peer.setup.kind == PeerKind::kHaproxy && peer.link != nullptr) add(all, ",", peer.setup.name);
  }
  return all;
}

std::string note_words(const Hub& hub, const Peer& peer) {
  std::string all = peer.note;
  if (peer.link != nullptr) add(all, "; ", peer.link->problems());
  if (peer.setup.kind == PeerKind::kHaproxy) add(all, "; ", hub.servers().note(peer.origin));
  return all;
}

}  // namespace stickmesh::admin
