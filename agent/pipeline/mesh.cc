#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "agent/base/log.h"
#include "agent/pipeline/accepted_origin.h"
#include "agent/pipeline/hub.h"
#include "agent/pipeline/mesh_link.h"
#include "agent/pipeline/peer_link.h"

namespace stickmesh::pipeline {

namespace {

// What an agent holds that was heard of within this time is as good as what is heard here.
constexpr Duration kPresentElsewhere{2000};
// Less than a mark's life, so that another agent takes over before the last mark has run out.
constexpr Duration kFreshness{1200};

// A reload at an instance of several agents is over by then.
constexpr Duration kTwoProcesses{10'000};

/// Of which the pid is not known: two such may be one.
bool unnamed(std::uint64_t process) {
  return process >> 32U != 0;
}

}  // namespace

Peer* Hub::instance(store::OriginId origin) const {
  return origin < instances_.size() ? instances_[origin] : nullptr;
}

void Hub::release_origins() {
  store::Origins& origins = registry_.origins();
  for (store::OriginId id = 0; id < origins.size(); ++id) {
    origins[id].known =
        id == own_origin_ || instance(id) != nullptr ||
        std::any_of(fellows_.begin(), fellows_.end(), [&](const MeshLink* link) { return link->names(id); });
    if (origins[id].known) continue;
    set_present(id, false);
    registry_.forget_definitions(id);
  }
}

void Hub::spare_incarnation(std::string_view origin) {
  const store::Origin& own = registry_.origins()[own_origin_];
  if (origin != own.name || own.contributions != 0 || own_update_id_ != 0) return;
  // We have started again within the second.
  if (renew_incarnation()) release_origins();
}

std::optional<store::OriginId> Hub::instance_elsewhere(std::string_view name, bool home, TimePoint now) {
  store::Origins& origins = registry_.origins();
  const auto id = origins.intern(name);
  if (!id || !home || name == setup_.agent_name || name == kAcceptedOrigin) return id;
  Peer* peer = instance(*id);
  if (peer == nullptr && setup_.accept_unknown && !is_incarnation(name)) {
    peer = add_peer({std::string(name), PeerKind::kHaproxy, {}, {}, 0}, /*configured=*/false);
    if (peer != nullptr) peer->last_seen = now;
  }
  return id;
}

void Hub::learn_generation(store::OriginId id, std::uint32_t generation, std::uint64_t process) {
  store::Origin& origin = registry_.origins()[id];
  if (generation < origin.generation || generation == 0) return;
  const Peer* peer = instance(id);
  const bool home = peer != nullptr && peer->link != nullptr;
  if (generation > origin.generation) {
    if (!home) registry_.forget_servers(id);
    origin.generation = generation;
    origin.process = process;
  } else if (process != 0 && (origin.process == 0 || (home && process != peer->process))) {
    // Two homes have given one number; whoever is home has to know, to choose another.
    origin.process = process;
  }
}

bool Hub::held_elsewhere(store::OriginId origin, TimePoint now, bool synchronised) const {
  return std::any_of(fellows_.begin(), fellows_.end(), [&](const MeshLink* link) {
    const OriginRow* row = link->row(origin);
    return row != nullptr && row->home && (row->synchronised || !synchronised) &&
           link->fresh(now, kPresentElsewhere);
  });
}

std::size_t Hub::agents() const {
  return static_cast<std::size_t>(std::count_if(
      peers_.begin(), peers_.end(), [](const Peer& peer) { return peer.setup.kind == PeerKind::kAgent; }));
}

bool Hub::lacks_agent_besides(const Peer& peer) const {
  return std::any_of(peers_.begin(), peers_.end(), [&](const Peer& other) {
    return &other != &peer && other.setup.kind == PeerKind::kAgent &&
           (other.link == nullptr || !other.link->running());
  });
}

Fellowship Hub::fellowship(const Peer& peer) {
  const MeshLink* mesh = peer.link != nullptr ? peer.link->mesh() : nullptr;
  return mesh != nullptr ? mesh->fellowship() : peer.fellowship;
}

void Hub::meet_agents_anew() {
  start_ = 1 + static_cast<std::uint32_t>(random_() % std::numeric_limits<std::uint32_t>::max());
  for (Peer& peer : peers_) peer.fellowship.taught.reset();
}

Peer* Hub::agent(std::string_view name) {
  Peer* peer = find(name);
  return peer != nullptr && peer->setup.kind == PeerKind::kAgent ? peer : nullptr;
}

void Hub::set_present(store::OriginId origin, bool present) {
  if (std::exchange(registry_.origins()[origin].present, present) == present) return;
  for (auto& [name, record] : registry_.tables()) record.table->mark_present_sums(origin);
  presence_changed_ = true;
}

void Hub::update_elsewhere(TimePoint now) {
  if (fellows_.empty()) return;
  const store::Origins& origins = registry_.origins();
  for (store::OriginId id = 0; id < origins.size(); ++id) {
    Peer* peer = instance(id);
    if (id == own_origin_ || (peer != nullptr && peer->link != nullptr)) continue;
    const bool held = held_elsewhere(id, now);
    if (held && peer != nullptr) peer->last_seen = now;
    // One that is expected here is away only after `away-after`.
    if (held || peer == nullptr) set_present(id, held);
  }
}

bool Hub::owes(store::OriginId origin) const {
  return instance(origin) != nullptr;
}

std::uint64_t Hub::unnamed_process() {
  return std::uint64_t{1} << 63U | random_();
}

void Hub::begin_process(Peer& peer, std::uint64_t process) {
  store::Origin& origin = registry_.origins()[peer.origin];
  // Another home has seen the same process.
  const bool known = origin.process == process && origin.generation != 0;
  set_generation(peer, known ? origin.generation : origin.generation + 1, process);
}

void Hub::begin_generation(Peer& peer, bool other_process) {
  const std::uint32_t next = registry_.origins()[peer.origin].generation + 1;
  set_generation(peer, next, other_process ? unnamed_process() : peer.process);
}

void Hub::set_generation(Peer& peer, std::uint32_t generation, std::uint64_t process) {
  store::Origin& origin = registry_.origins()[peer.origin];
  peer.generation = origin.generation = generation;
  peer.process = origin.process = process;
}

void Hub::relabel(Peer& peer, std::uint32_t generation, std::uint64_t process, TimePoint now) {
  log::info("peer {}: what it counts is of generation {} from now on, as another agent knows {}",
            peer.setup.name, generation, registry_.origins()[peer.origin].generation);
  set_generation(peer, generation, process);
  peer.link->learn_again(now);
}

// DESIGN, "What must stay true" 2: the home takes the highest generation that is known plus one; two homes
// that see the same process agree on the larger.
void Hub::agree_on_generation(Peer& peer, TimePoint now) {
  store::Origin& origin = registry_.origins()[peer.origin];
  if (peer.link == nullptr || !peer.link->running() || peer.generation == 0) return;
  if (origin.generation < peer.generation) {
    origin.generation = peer.generation;
    origin.process = peer.process;
    return;
  }
  if (origin.generation == peer.generation && origin.process == peer.process) return;
  const MeshLink* other = nullptr;
  for (const MeshLink* link : fellows_) {
    const OriginRow* row = link->row(peer.origin);
    if (row != nullptr && row->home && row->generation == origin.generation &&
        row->process == origin.process && link->fresh(now, kPresentElsewhere)) {
      other = link;
    }
  }
  const bool may_be_one = other != nullptr && (unnamed(origin.process) || unnamed(peer.process));
  if (origin.process == peer.process || may_be_one) {
    const std::uint64_t process = !unnamed(peer.process)     ? peer.process
                                  : !unnamed(origin.process) ? origin.process
                                                             : std::max(origin.process, peer.process);
    if (origin.generation > peer.generation) return relabel(peer, origin.generation, process, now);
    peer.process = process;
    origin.process = process;
    return;
  }
  // One that is gone has counted more under that number than we can know.
  const bool tied = other != nullptr && origin.generation == peer.generation &&
                    setup_.agent_name > other->peer().setup.name;
  if (other == nullptr || tied) relabel(peer, origin.generation + 1, peer.process, now);
}

// At a reload the new process comes to one agent a little sooner than to another.
void Hub::watch_for_namesake(Peer& peer, TimePoint now) {
  const auto named = [](std::uint64_t process) { return process != 0 && !unnamed(process); };
  const bool here = peer.link != nullptr && peer.link->running() && named(peer.process);
  const auto other = std::find_if(fellows_.begin(), fellows_.end(), [&](const MeshLink* link) {
    const OriginRow* row = link->row(peer.origin);
    return here && row != nullptr && row->home && named(row->process) && row->process != peer.process &&
           link->fresh(now, kPresentElsewhere);
  });
  if (other == fellows_.end()) {
    peer.namesake_since.reset();
    if (std::exchange(peer.namesake_told, false)) peer.note.clear();
    return;
  }
  if (!peer.namesake_since) peer.namesake_since = now;
  if (peer.namesake_told || now - *peer.namesake_since < kTwoProcesses) return;
  peer.namesake_told = true;
  const Error error{
      Reason::kDuplicateSession,
      fmt::format("process {} is connected here, and process {} of that name to '{}', of which one alone is "
                  "counted: do two hosts have the same name?",
                  peer.process, (*other)->row(peer.origin)->process, (*other)->peer().setup.name)};
  peer.note = to_string(error);
  errors_.record(error, fmt::format("peer {}", peer.setup.name), now);
}

void Hub::update_learned(TimePoint now) {
  if (learned_ || restoring_) return;
  if (!started_) started_ = now;
  const auto taught = static_cast<std::size_t>(std::count_if(
      fellows_.begin(), fellows_.end(), [](const MeshLink* link) { return link->taught_us(); }));
  learned_ = taught == agents() || now - *started_ >= setup_.learn_timeout;
  if (learned_ && agents() != 0) log::notice("learned from {} of {} other agents", taught, agents());
}

bool Hub::isolated(TimePoint now) const {
  const auto fresh = std::count_if(fellows_.begin(), fellows_.end(),
                                   [&](const MeshLink* link) { return link->fresh(now, kPresentElsewhere); });
  if (static_cast<std::size_t>(fresh) == agents()) return false;
  const Attendance here = attendance(now);
  return here.present < here.expected;
}

Hub::Publishing Hub::publishing(const Peer& peer, TimePoint now) const {
  for (const MeshLink* link : fellows_) {
    const OriginRow* row = link->row(peer.origin);
    const bool publishes =
        row != nullptr && row->home && row->synchronised && link->learned() && link->fresh(now, kFreshness);
    if (publishes && link->peer().setup.name < setup_.agent_name) return Publishing::kElsewhere;
  }
  if (!learned_) return Publishing::kNowhere;
  if (!isolated_) return Publishing::kHere;
  return held_elsewhere(peer.origin, now, /*synchronised=*/true) ? Publishing::kNowhere
                                                                 : Publishing::kReplicasOnly;
}

}  // namespace stickmesh::pipeline
