#include "agent/pipeline/hub.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "agent/base/log.h"
#include "agent/pipeline/accepted_origin.h"
#include "agent/pipeline/mesh_link.h"
#include "agent/pipeline/peer_link.h"

namespace stickmesh::pipeline {

namespace {

// Entries that one call lets expire at most, so that a sweep never holds up the loop.
constexpr std::size_t kExpiredAtOnce = 5000;
constexpr Duration kExpiryStep{100};
constexpr Duration kStrayStep{20};
// Origins that are away become absent, and are forgotten.
constexpr Duration kPresenceStep{1000};

}  // namespace

Hub::Hub(HubSetup setup, Registry& registry, ErrorLog& errors)
    : setup_(std::move(setup)),
      registry_(registry),
      errors_(errors),
      random_(std::hash<std::string>{}(setup_.agent_name) ^ setup_.pid ^
              static_cast<std::uint64_t>(setup_.wall_clock().time_since_epoch().count())),
      limits_(setup_.limits) {
  meet_agents_anew();
  begin_incarnation(
      std::chrono::duration_cast<std::chrono::seconds>(setup_.wall_clock().time_since_epoch()).count());
  for (const PeerSetup& peer : setup_.peers) {
    if (peer.kind == PeerKind::kAgent) registry_.track(store::Tracking::kHeard);
    if (add_peer(peer, /*configured=*/true) == nullptr) {
      log::error("peer {} has no place: raise [peers] max-origins", peer.name);
    }
  }
}

Hub::~Hub() = default;

// An incarnation never continues an earlier one's counts, so that those can live on unchanged.
bool Hub::begin_incarnation(std::int64_t second) {
  const auto origin = registry_.origins().intern(fmt::format("{}#{}", setup_.agent_name, second));
  if (!origin) return false;
  own_origin_ = *origin;
  incarnation_ = second;
  registry_.origins()[own_origin_].present = true;
  registry_.origins()[own_origin_].generation = 1;
  return true;
}

bool Hub::renew_incarnation() {
  std::int64_t second = incarnation_ + 1;
  while (registry_.origins().find(fmt::format("{}#{}", setup_.agent_name, second))) ++second;
  const store::OriginId before = own_origin_;
  if (!begin_incarnation(second)) return false;
  registry_.origins()[before].present = false;
  return true;
}

bool Hub::go_on(const Continuity& continuity) {
  const store::OriginId before = own_origin_;
  if (continuity.incarnation != incarnation_) {
    if (!begin_incarnation(continuity.incarnation)) return false;
    registry_.origins()[before].present = false;
    registry_.origins()[before].known = false;
  }
  own_update_id_ = continuity.own_update_id;
  // An earlier version has none.
  if (continuity.start != 0) start_ = continuity.start;
  losses_ = continuity.losses;
  registry_.raise_lamport(continuity.lamport);
  learned_ |= continuity.learned;
  return true;
}

Peer* Hub::recall(std::string_view name, TimePoint last_seen, TimePoint now) {
  // An earlier version may have let one in.
  if (name == kAcceptedOrigin) return nullptr;
  Peer* peer = find(name);
  const Duration away = now - last_seen;
  if (peer == nullptr && setup_.accept_unknown && away < setup_.forget_after && name != setup_.agent_name) {
    peer = add_peer({std::string(name), PeerKind::kHaproxy, {}, {}, 0}, /*configured=*/false);
  }
  if (peer == nullptr || peer->setup.kind != PeerKind::kHaproxy) return nullptr;
  peer->recalled = true;
  peer->last_seen = last_seen;
  registry_.origins()[peer->origin].present = away < setup_.away_after;
  return peer;
}

Peer* Hub::find(std::string_view name) {
  const auto found =
      std::find_if(peers_.begin(), peers_.end(), [&](const Peer& peer) { return peer.setup.name == name; });
  return found == peers_.end() ? nullptr : &*found;
}

Peer* Hub::add_peer(PeerSetup setup, bool configured) {
  store::OriginId origin = store::kNobody;
  if (setup.kind == PeerKind::kHaproxy) {
    const auto id = registry_.origins().intern(setup.name);
    if (!id) return nullptr;
    origin = *id;
  }
  Peer& peer = peers_.emplace_back();
  peer.setup = std::move(setup);
  peer.configured = configured;
  peer.origin = origin;
  peer.publications = static_cast<std::uint32_t>(random_());
  if (origin == store::kNobody) return &peer;
  if (instances_.size() <= origin) instances_.resize(std::size_t{origin} + 1);
  instances_[origin] = &peer;
  return &peer;
}

std::unique_ptr<Session> Hub::accept(Source source, TimePoint now) {
  peers::Options options;
  options.role = peers::Role::kAccepting;
  // No name of its own: `admit` tells a caller that has the wrong one what to change.
  options.pid = setup_.pid;
  options.max_tables = setup_.max_tables;
  return std::make_unique<PeerLink>(*this, std::move(options), nullptr, std::move(source), now);
}

std::unique_ptr<Session> Hub::dial(Peer& peer, Source source, TimePoint now) {
  peers::Options options;
  options.role = peers::Role::kDialling;
  options.local_name = setup_.agent_name;
  options.remote_name = peer.setup.name;
  options.pid = setup_.pid;
  options.minor = peer.minor;
  options.max_tables = setup_.max_tables;
  return std::make_unique<PeerLink>(*this, std::move(options), &peer, std::move(source), now);
}

bool Hub::established(PeerLink& link, Peer& peer, std::uint64_t pid, TimePoint now) {
  if (peer.link != nullptr && peer.link != &link && peer.setup.kind == PeerKind::kAgent &&
      setup_.agent_name > peer.setup.name && peer.link->running()) {
    link.session().close({Reason::kDuplicateSession,
                          "both sides dialled; the connection that '" + peer.setup.name + "' made stays"});
    return false;
  }
  if (peer.link != nullptr && peer.link != &link) {
    peer.link->replaced();
    peer.link->session().close(
        {Reason::kReplacedSession, "the connection that this agent made is used instead"});
  }
  peer.link = &link;
  peer.last_seen = now;
  ++peer.sessions;
  peer.note.clear();
  const bool other_process = pid == 0 || pid != peer.pid;
  log::info("peer {} ({}): session is up, {}", peer.setup.name, link.source().text,
            link.session().role() == peers::Role::kDialling ? "dialled by this agent"
                                                            : fmt::format("from process {}", pid));
  if (peer.setup.kind == PeerKind::kAgent) {
    peer.pid = pid;
    return other_process;
  }
  if (other_process) {
    peer.complete = false;
    peer.succeeds = pid != 0 && peer.pid != 0;
    peer.acknowledged.clear();
    // A session that we made says nothing of the process: then known numbers are taken for the same ones, but
    // after a restart of ours, which a power cut may have made one of its own as well.
    const bool anew = pid != 0 || peer.recalled;
    if (anew) peer.forget_live_ids();
    if (anew || peer.generation == 0) begin_process(peer, pid != 0 ? pid : unnamed_process());
  }
  peer.recalled = false;
  if (pid != 0) peer.pid = pid;
  set_present(peer.origin, true);
  settle_definitions(now);
  return other_process;
}

void Hub::ended(PeerLink& link, const Error& why, TimePoint now) {
  Peer* peer = link.peer_;
  Error told = why;
  if (peer != nullptr && link.session().role() == peers::Role::kDialling) {
    const int status = link.session().status();
    if (status == 502) peer->minor = 0;
    if (status == 503 || status == 504) {
      told.detail += fmt::format(" (here: [[peer]] name = \"{}\" at {}:{}, [agent] name = \"{}\")",
                                 peer->setup.name, setup_.config_file, peer->setup.line, setup_.agent_name);
    }
    // HAProxy closes without a word when it expects TLS.
    if (status == 0 && why.reason == Reason::kConnectionLost && !link.source().certified)
      told.detail += " before it answered: if it has `ssl` in its `bind` line, configure [peers.tls] here";
  }
  errors_.record(told, link.name(), now);
  if (peer == nullptr) {
    // Whoever dials with TLS believes that this port has it, and would try for ever.
    if (told.reason == Reason::kUnexpectedTls) note_nameless(link.source(), told, now);
    return;
  }
  if (peer->link == nullptr || peer->link == &link) peer->note = to_string(told);
  if (peer->link != &link) return;
  peer->link = nullptr;
  peer->last_seen = now;
  if (on_session_ended_) on_session_ended_(*peer);
  wake();
}

void Hub::settle_definitions(TimePoint now) {
  if (std::exchange(presence_changed_, false)) registry_.settle_definitions(now);
}

bool Hub::publish(TimePoint now) {
  bool waiting = false;
  const bool allowed = now - last_publish_ >= setup_.publish_interval;
  for (auto& [name, record] : registry_.tables()) {
    if (!record.output || !record.output->due(now)) continue;
    if (!allowed) {
      waiting = true;
      continue;
    }
    record.output->publish(now);
    last_publish_ = now;
  }
  return waiting;
}

void Hub::keep_changes(bool on) {
  on ? ++keepers_ : --keepers_;
  track();
}

void Hub::keep_heard() {
  keeps_heard_ = true;
  track();
}

void Hub::track() {
  const bool heard = agents() != 0 || keeps_heard_;
  const store::Tracking others = heard ? store::Tracking::kHeard : store::Tracking::kNothing;
  registry_.track(keepers_ != 0 ? store::Tracking::kAll : others);
}

void Hub::publish_to_relays() {
  for (auto& [name, record] : registry_.tables()) {
    if (record.relay) record.relay->publish();
  }
}

std::optional<TimePoint> Hub::run(TimePoint now) {
  std::optional<TimePoint> next;
  const auto at_latest = [&](TimePoint when) {
    if (!next || when < *next) next = when;
  };
  for (auto& [name, record] : registry_.tables()) {
    if (!record.table->expire(now, kExpiredAtOnce)) at_latest(now);
    if (record.table->entries() != 0) at_latest(now + kExpiryStep);
    if (record.output && record.output->strays_waiting()) at_latest(now + kStrayStep);
  }
  update_presence(now);
  update_elsewhere(now);
  settle_definitions(now);
  update_learned(now);
  isolated_ = isolated(now);
  if (!fellows_.empty()) {
    for (Peer& peer : peers_) {
      if (peer.setup.kind != PeerKind::kHaproxy) continue;
      agree_on_generation(peer, now);
      watch_for_namesake(peer, now);
    }
  }
  const auto report = [&](const Error& error, const std::string& table) {
    errors_.record(error, "table " + table, now);
  };
  mixing_.look(registry_, now, report);
  servers_.look(registry_, now, report);
  publish_to_relays();
  const bool unpublished = publish(now);
  if (unpublished) at_latest(last_publish_ + setup_.publish_interval);
  keep_marks(unpublished, now);
  bool marks = false;
  for (PeerLink* link : links_) {
    link->run(now);
    marks |= link->wants_marks();
    if (const auto when = link->next_run()) at_latest(*when);
  }
  if (marks) at_latest(std::max(next_barrier_, now + Duration(1)));
  if (std::any_of(peers_.begin(), peers_.end(), [](const Peer& peer) { return peer.link == nullptr; })) {
    at_latest(now + kPresenceStep);
  }
  return next;
}

}  // namespace stickmesh::pipeline
