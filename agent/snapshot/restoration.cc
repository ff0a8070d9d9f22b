#include "agent/snapshot/restoration.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/base/log.h"

namespace stickmesh::snapshot {

void Restoration::header(const Header& header) {
  origins_.clear();
  since_written_ = Duration(0);
  goes_on_ = header.continuity && hub_.go_on(*header.continuity);
  if (goes_on_) return;
  const auto wall =
      std::chrono::duration_cast<Duration>(hub_.setup().wall_clock().time_since_epoch()).count();
  away_ = Duration(std::clamp<std::int64_t>(wall - header.written, 0, kMaxMilliseconds));
}

void Restoration::clock(Duration since_written) {
  since_written_ = since_written;
}

void Restoration::origin(const OriginRecord& origin) {
  store::Origins& origins = registry_.origins();
  const bool ours = origin.name == origins[hub_.own_origin()].name;
  const TimePoint last_seen = now_ - origin.away.value_or(Duration(0)) - away();
  pipeline::Peer* peer = origin.away ? hub_.recall(origin.name, last_seen, now_) : nullptr;
  const bool has_place = !ours || goes_on_ || hub_.renew_incarnation();
  const store::OriginId id =
      has_place ? origins.intern(origin.name).value_or(store::kNobody) : store::kNobody;
  origins_.push_back(id);
  if (id == store::kNobody) return;
  origins[id].generation = std::max(origins[id].generation, origin.generation);
  if (goes_on_) origins[id].process = origin.known_process;
  if (peer == nullptr) {
    const auto& peers = hub_.peers();
    if (id != hub_.own_origin() &&
        std::none_of(peers.begin(), peers.end(), [&](const auto& known) { return known.origin == id; })) {
      gone_.insert(id);
    }
    return;
  }
  // The same process goes on with its session. One whose lesson was not over may still be taught by another.
  peer->recalled = !goes_on_;
  peer->pid = origin.pid;
  peer->generation = origins[id].generation;
  peer->process = goes_on_ ? origin.process : origin.pid;
  if (!goes_on_) origins[id].process = origin.pid;
  peer->complete = origin.complete;
  peer->succeeds = origin.pid != 0 && !origin.complete;
}

void Restoration::table(const TableSection& section) {
  table_ = canonical_name(section.definition.name);
  standing_ = section.definition;
  plans_.clear();
  auto restored = registry_.restore(section.definition, section.replicated, now_);
  record_ = restored ? *restored : nullptr;
  // Those that count now follow; what the process before taught said who has counted, not what instances say.
  if (goes_on_ && record_ != nullptr) record_->definitions.clear();
  if (!restored) refused_[table_] = restored.error().detail;
}

void Restoration::stored(const StoredTypes& stored) {
  const store::OriginId origin = origins_[stored.origin];
  if (record_ == nullptr || origin == store::kNobody) return;
  if (plans_.size() <= stored.origin) plans_.resize(std::size_t{stored.origin} + 1);
  plans_[stored.origin] = store::make_plan(only(standing_, stored.types), record_->table->layout());
  for (pipeline::Peer& peer : hub_.peers()) {
    if (peer.origin != origin) continue;
    if (stored.definition) record_->definitions[origin] = *stored.definition;
    peer.live_ids[record_->table->name()] = stored.live_id;
  }
}

void Restoration::contribution(const Contribution& contribution) {
  store::Copy copy = contribution.copy;
  const std::size_t number = copy.origin;
  copy.origin = origins_[number];
  if (record_ == nullptr || copy.origin == store::kNobody) {
    ++counts_.left_out;
    return;
  }
  copy.writer = copy.writer == store::kNobody ? copy.writer : origins_[copy.writer];
  const Duration left = contribution.remaining - away();
  const bool expires = standing_.expire.count() != 0;
  if (expires && left.count() <= 0) {
    ++counts_.expired;
    return;
  }
  copy.expires = now_ + left;
  cells_.assign(copy.cells.begin(), copy.cells.end());
  const store::Plan& plan = plans_[number];
  for (const store::Plan::Step& step : plan.steps) {
    const store::Column& column = record_->table->layout().columns()[step.column];
    if (column.kind != ValueKind::kRate) continue;
    for (std::uint32_t element = 0; element < column.elements; ++element)
      cells_[step.cell + std::size_t{3} * element] += static_cast<std::uint64_t>(away().count());
  }
  copy.cells = cells_;
  // Versions of replicated entries are of all agents together.
  store::Origin& origin = registry_.origins()[copy.origin];
  if (!record_->replicated) origin.generation = std::max(origin.generation, copy.version.generation);
  switch (record_->table->adopt(plan, copy, now_)) {
    case store::Applied::kChanged:
    case store::Applied::kRefreshed:
      ++counts_.restored;
      break;
    case store::Applied::kStale:
    case store::Applied::kKept:
    case store::Applied::kCleared:
    case store::Applied::kNoMemory:
      break;
  }
}

void Restoration::fellow(const FellowRecord& fellow) {
  if (!goes_on_) return;
  pipeline::Peer* peer = hub_.agent(fellow.name);
  if (peer == nullptr) return;
  pipeline::Fellowship& fellowship = peer->fellowship;
  fellowship.taught.reset();
  // What our tables drop from here on is seen in `finish`.
  if (fellow.start != 0)
    fellowship.taught.emplace(pipeline::Fellowship::Taught{fellow.start, fellow.had_losses, 0});
  fellowship.taken.reset();
  if (fellow.taker != 0) fellowship.taken.emplace();
  fellowship.taker = fellow.taker;
  fellowship.losses = fellow.losses;
  fellows_.push_back(peer);
}

void Restoration::taken(std::string_view fellow, std::uint64_t sequence) {
  for (pipeline::Peer* peer : fellows_) {
    if (peer->setup.name == fellow && peer->fellowship.taken) (*peer->fellowship.taken)[table_] = sequence;
  }
}

void Restoration::place(const FeedPlace& place) {
  const store::OriginId origin = origins_[place.origin];
  if (record_ == nullptr || origin == store::kNobody) return;
  const store::Table& table = *record_->table;
  const store::EntryId entry = table.find(place.key);
  if (entry == store::kNone) return;
  const store::ContributionId id = table.find(entry, origin);
  if (id != store::kNone) places_.push_back({place.sequence, id});
}

void Restoration::feed(std::uint64_t last) {
  if (goes_on_ && record_ != nullptr && record_->relay) record_->relay->go_on(places_, last);
  places_.clear();
}

Restoration::Counts Restoration::finish() {
  for (pipeline::Peer* peer : fellows_) {
    if (peer->fellowship.taught) peer->fellowship.taught->redefinitions = registry_.redefinitions();
  }
  for (auto& [name, record] : registry_.tables()) {
    if (goes_on_) record.restored = record.definitions.empty();
  }
  for (const store::OriginId origin : gone_) registry_.origins()[origin].known = false;
  for (const auto& [table, why] : refused_) {
    log::notice("table {} of the snapshot is left out: {}", table, why);
  }
  if (const auto lost = std::count(origins_.begin(), origins_.end(), store::kNobody); lost != 0) {
    log::notice("{} origins of the snapshot have no place: raise [peers] max-origins above {}", lost,
                registry_.origins().limit());
  }
  for (const auto& [name, record] : registry_.tables()) {
    const store::TableCounters& counters = record.table->counters();
    const std::uint64_t lost = counters.purged + counters.refused;
    if (lost == 0) continue;
    hub_.errors().record(
        {Reason::kNoMemory,
         fmt::format("no room for {} keys of the snapshot: raise {}", lost,
                     record.table->max_entries() == 0 ? "[agent] max-memory"
                                                      : "its size in [[table]] or [agent] max-memory")},
        "table " + name, now_);
  }
  return counts_;
}

}  // namespace stickmesh::snapshot
