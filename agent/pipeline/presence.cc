#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "agent/base/log.h"
#include "agent/pipeline/hub.h"
#include "agent/pipeline/peer_link.h"

namespace stickmesh::pipeline {

namespace {

constexpr Duration kBarrierInterval{500};

}  // namespace

Hub::Attendance Hub::attendance(TimePoint now) const {
  Attendance attendance;
  for (const Peer& peer : peers_) {
    if (!expected(peer)) continue;
    ++attendance.expected;
    if (present(peer, now)) ++attendance.present;
  }
  return attendance;
}

bool Hub::present(const Peer& peer, TimePoint now) const {
  return (peer.link != nullptr && peer.link->synchronised() && peer.link->heard_lately(now)) ||
         held_elsewhere(peer.origin, now, /*synchronised=*/true);
}

std::uint32_t Hub::left_out(const TableRecord& record, TimePoint now) const {
  return static_cast<std::uint32_t>(std::count_if(peers_.begin(), peers_.end(), [&](const Peer& peer) {
    const auto said = record.definitions.find(peer.origin);
    return said != record.definitions.end() && store::mismatch(record.table->definition(), said->second) &&
           expected(peer) && present(peer, now);
  }));
}

void Hub::update_presence(TimePoint now) {
  for (auto peer = peers_.begin(); peer != peers_.end();) {
    const auto next = std::next(peer);
    if (peer->setup.kind == PeerKind::kHaproxy && peer->link == nullptr &&
        now - peer->last_seen >= setup_.away_after) {
      if (registry_.origins()[peer->origin].present) {
        log::notice("peer {}: away for {}; its open connections are no longer counted", peer->setup.name,
                    describe(setup_.away_after));
        set_present(peer->origin, false);
      }
      if (!peer->configured && now - peer->last_seen >= setup_.forget_after) forget(peer, now);
    }
    peer = next;
  }
}

Result<void> Hub::set_maintenance(std::string_view name, bool on) {
  Peer* peer = find(name);
  if (peer != nullptr && peer->setup.kind == PeerKind::kAgent) {
    return refuse(Reason::kBadCommand, fmt::format("'{}' is an agent: only instances are expected", name));
  }
  if (peer == nullptr || !peer->configured) {
    return refuse(Reason::kNotFound,
                  fmt::format("there is no [[peer]] name = \"{}\" in {}", name, setup_.config_file));
  }
  // Said once more, what could not be kept is tried again.
  if (std::exchange(peer->maintenance, on) != on || !runtime_unsaved_.empty()) keep_runtime();
  return {};
}

void Hub::keep_runtime() {
  if (!on_runtime_changed_) return;
  const auto kept = on_runtime_changed_();
  runtime_unsaved_ = kept ? std::string() : kept.error().detail;
}

Result<void> Hub::set_limit(std::string_view name, const std::optional<LimitValue>& value) {
  const Limit* limit = limits_.find(name);
  if (limit == nullptr) {
    return refuse(Reason::kNotFound,
                  fmt::format("there is no [[limit]] name = \"{}\" in {}", name, setup_.config_file));
  }
  const auto clock =
      std::chrono::duration_cast<std::chrono::milliseconds>(setup_.wall_clock().time_since_epoch());
  // Another agent's clock may be ahead of ours, and yet this is the newest.
  learn_limit(name, value, std::max(static_cast<std::uint64_t>(clock.count()), limit->changed_at + 1));
  return {};
}

void Hub::learn_limit(std::string_view name, const std::optional<LimitValue>& value,
                      std::uint64_t changed_at) {
  if (!limits_.change(name, value, changed_at)) return;
  keep_runtime();
  wake();
}

Result<void> Hub::forget(std::string_view name, TimePoint now) {
  const auto peer =
      std::find_if(peers_.begin(), peers_.end(), [&](const Peer& had) { return had.setup.name == name; });
  if (peer == peers_.end()) return refuse(Reason::kNotFound, fmt::format("there is no peer '{}'", name));
  if (peer->configured) {
    const bool expected = peer->setup.kind == PeerKind::kHaproxy;
    return refuse(
        Reason::kBadCommand,
        fmt::format("'{}' is configured at {}:{}: {}remove it there and reload", name, setup_.config_file,
                    peer->setup.line,
                    expected ? fmt::format("take it out with `set peer {} maint`, or ", name) : ""));
  }
  if (peer->link != nullptr)
    return refuse(Reason::kBadCommand, fmt::format("'{}' has a session: stop it first", name));
  // It would be expected again as soon as the other one speaks of it.
  const bool elsewhere = std::any_of(fellows_.begin(), fellows_.end(), [&](const MeshLink* link) {
    const OriginRow* row = link->row(peer->origin);
    return row != nullptr && row->home;
  });
  if (elsewhere) {
    return refuse(Reason::kBadCommand,
                  fmt::format("'{}' has a session with another agent, which `show peers` names as home of "
                              "it: stop it first",
                              name));
  }
  forget(peer, now);
  return {};
}

// What it counted stays until it expires.
void Hub::forget(std::list<Peer>::iterator peer, TimePoint now) {
  log::notice("peer {}: forgotten; it is no longer expected", peer->setup.name);
  set_present(peer->origin, false);
  registry_.forget_definitions(peer->origin);
  presence_changed_ = true;
  settle_definitions(now);
  registry_.origins()[peer->origin].known = false;
  instances_[peer->origin] = nullptr;
  for (PeerLink* link : links_) {
    if (link->peer_ == &*peer) link->peer_ = nullptr;
  }
  peers_.erase(peer);
}

void Hub::keep_marks(bool unpublished, TimePoint now) {
  const bool wanted =
      std::any_of(links_.begin(), links_.end(), [](const PeerLink* link) { return link->wants_marks(); });
  if (!wanted) {
    barrier_.reset();
    return;
  }
  if (!barrier_ && now >= next_barrier_) {
    next_barrier_ = now + kBarrierInterval;
    const auto until = setup_.wall_clock() + kMarkLife;
    barrier_ = Mark{now, std::chrono::duration_cast<std::chrono::seconds>(until.time_since_epoch()).count()};
    for (PeerLink* link : links_) link->note_arrived();
  }
  if (!barrier_ || unpublished) return;
  if (!std::all_of(links_.begin(), links_.end(), [](const PeerLink* link) { return link->caught_up(); }))
    return;
  const Attendance here = attendance(now);
  barrier_->present = here.present;
  barrier_->expected = here.expected;
  for (PeerLink* link : links_) link->place_barrier(*barrier_);
  barrier_.reset();
}

std::vector<Hub::Cleared> Hub::clear(TableRecord& record, store::EntryId entry, TimePoint now) {
  std::vector<Cleared> told;
  if (record.replicated) {
    store::Table& table = *record.table;
    table.clear(entry, now, [](store::OriginId) { return false; });
    table.set_writer(table.first(entry), store::kNobody);
    wake();
    return told;
  }
  record.table->clear(entry, now, [&](store::OriginId origin) { return owes(origin); });
  for (store::ContributionId id = record.table->first(entry); id != store::kNone;
       id = record.table->following(id)) {
    const Peer* peer = instance(record.table->origin(id));
    if (peer == nullptr) continue;
    // An agent that is home to it tells it.
    const bool reached = (peer->link != nullptr && peer->link->clear_at_instance(record, entry, now)) ||
                         held_elsewhere(peer->origin, now);
    told.push_back({peer->setup.name, reached});
  }
  wake();
  return told;
}

}  // namespace stickmesh::pipeline
