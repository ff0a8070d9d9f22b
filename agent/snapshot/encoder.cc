#include "agent/snapshot/encoder.h"

#include <algorithm>
#include <msgpack.hpp>

#include "agent/peers/wire/definition.h"

namespace stickmesh::snapshot {

namespace {

// Of each table; agents that have not taken more are told everything.
constexpr std::size_t kPlaces = 10'000;

/// Where a packer writes to.
struct Out {
  std::vector<char>& bytes;
  void write(const char* data, std::size_t size) { bytes.insert(bytes.end(), data, data + size); }
};

class Pack {
 public:
  explicit Pack(std::vector<char>& bytes) : out_{bytes}, packer_(out_) {}

  Pack& object(Kind kind, std::uint32_t size) {
    packer_.pack_array(size + 1);
    packer_.pack_uint64(static_cast<std::uint64_t>(kind));
    return *this;
  }
  Pack& array(std::size_t size) {
    packer_.pack_array(static_cast<std::uint32_t>(size));
    return *this;
  }
  Pack& map(std::uint32_t size) {
    packer_.pack_map(size);
    return *this;
  }
  Pack& number(std::uint64_t value) {
    packer_.pack_uint64(value);
    return *this;
  }
  Pack& signed_number(std::uint64_t value) {
    packer_.pack_int64(static_cast<std::int64_t>(value));
    return *this;
  }
  Pack& flag(bool value) {
    value ? packer_.pack_true() : packer_.pack_false();
    return *this;
  }
  Pack& nothing() {
    packer_.pack_nil();
    return *this;
  }
  Pack& text(std::string_view value) {
    packer_.pack_str(static_cast<std::uint32_t>(value.size()));
    packer_.pack_str_body(value.data(), static_cast<std::uint32_t>(value.size()));
    return *this;
  }
  Pack& bytes(Bytes value) {
    packer_.pack_bin(static_cast<std::uint32_t>(value.size()));
    packer_.pack_bin_body(as_text(value).data(), static_cast<std::uint32_t>(value.size()));
    return *this;
  }
  Pack& definition(const TableDefinition& definition) {
    std::vector<std::byte> message;
    Writer writer(message);
    peers::encode_definition(1, definition, writer);
    return bytes(message);
  }

 private:
  Out out_;
  msgpack::packer<Out> packer_;
};

std::uint64_t milliseconds(Duration time) {
  return static_cast<std::uint64_t>(std::clamp<Duration::rep>(time.count(), 0, kMaxMilliseconds));
}

}  // namespace

Encoder::Encoder(pipeline::Hub& hub, Scope scope) : hub_(hub), registry_(hub.registry()), scope_(scope) {}

Bytes Encoder::next(std::size_t contributions, TimePoint now) {
  out_.clear();
  if (done_) return {};
  if (!std::exchange(begun_, true)) {
    started_ = clock_ = now;
    write_header();
  } else if (now != clock_) {
    clock_ = now;
    Pack(out_).object(Kind::kClock, 1).number(milliseconds(now - started_));
  }
  auto& tables = registry_.tables();
  for (auto at = tables.lower_bound(table_); at != tables.end(); ++at) {
    if (at->first != table_ || !layout_number_) {
      table_ = at->first;
      entry_ = 0;
      layout_number_.reset();
    }
    const store::Table& table = *at->second.table;
    if (layout_number_ != table.layout_number()) write_section(at->second);
    for (; scope_ == Scope::kAll; ++entry_) {
      if (contributions == 0) {
        framer_.add(as_bytes({out_.data(), out_.size()}));
        return as_bytes({out_.data(), out_.size()});
      }
      entry_ = table.next(entry_);
      if (entry_ == store::kNone) break;
      for (auto id = table.first(entry_); id != store::kNone; id = table.following(id)) {
        if (table.live(id, now)) write_contribution(at->second, id, now);
        contributions -= contributions == 0 ? 0 : 1;
      }
    }
    layout_number_.reset();
  }
  framer_.add(as_bytes({out_.data(), out_.size()}));
  framer_.end(out_);
  done_ = true;
  return as_bytes({out_.data(), out_.size()});
}

Bytes Encoder::one(const pipeline::TableRecord& record, store::ContributionId id, TimePoint now) {
  out_.clear();
  numbers_.clear();
  next_number_ = 0;
  clock_ = now;
  write_header();
  write_section(record);
  write_contribution(record, id, now);
  Framer framer;
  framer.add(as_bytes({out_.data(), out_.size()}));
  framer.end(out_);
  return as_bytes({out_.data(), out_.size()});
}

void Encoder::write_header() {
  Framer::begin(out_);
  const auto written =
      std::chrono::duration_cast<std::chrono::milliseconds>(hub_.setup().wall_clock().time_since_epoch());
  Pack pack(out_);
  const bool goes_on = scope_ == Scope::kWithoutContributions;
  pack.map(goes_on ? 8 : 2);
  pack.text("agent").text(hub_.setup().agent_name).text("written").number(milliseconds(written));
  if (goes_on) {
    const pipeline::Continuity continuity = hub_.continuity();
    pack.text("incarnation").number(static_cast<std::uint64_t>(continuity.incarnation));
    pack.text("own").number(continuity.own_update_id).text("lamport").number(continuity.lamport);
    pack.text("learned").flag(continuity.learned);
    pack.text("start").number(continuity.start).text("losses").number(continuity.losses);
  }
  if (scope_ == Scope::kOne) return;
  // Also those without contributions: their generations go on.
  for (const pipeline::Peer& peer : hub_.peers()) {
    if (peer.setup.kind == pipeline::PeerKind::kHaproxy) number_of(peer.origin);
  }
  if (goes_on) write_fellows();
}

void Encoder::write_fellows() {
  for (const pipeline::Peer& peer : hub_.peers()) {
    if (peer.setup.kind == pipeline::PeerKind::kAgent) write_fellow(peer);
  }
}

void Encoder::write_fellow(const pipeline::Peer& peer) {
  pipeline::Fellowship fellowship = pipeline::Hub::fellowship(peer);
  const bool told = fellowship.taken && nearly_all(*fellowship.taken);
  if (told) told_[peer.setup.name] = std::move(*fellowship.taken);
  const auto taught = fellowship.taught.value_or(pipeline::Fellowship::Taught{});
  const bool stands = taught.redefinitions == registry_.redefinitions();
  Pack pack(out_);
  pack.object(Kind::kFellow, 1).map(5).text("name").text(peer.setup.name);
  pack.text("losses").number(fellowship.losses).text("start").number(stands ? taught.start : 0);
  pack.text("had").number(taught.losses).text("taker").number(told ? fellowship.taker : 0);
}

bool Encoder::nearly_all(const pipeline::Fellowship::Taken& taken) const {
  return std::all_of(registry_.tables().begin(), registry_.tables().end(), [&](const auto& named) {
    if (!named.second.relay) return true;
    const store::ChangeFeed& feed = named.second.relay->feed();
    return feed.size() - feed.after(pipeline::taken_of(taken, named.first)) <= kPlaces;
  });
}

void Encoder::write_feed(const pipeline::TableRecord& record) {
  if (scope_ == Scope::kAll || !record.relay) return;
  const store::Table& table = *record.table;
  const store::ChangeFeed& feed = record.relay->feed();
  std::size_t at = feed.size();
  for (const auto& [name, taken] : told_) {
    const std::uint64_t sequence = pipeline::taken_of(taken, table.name());
    at = std::min(at, feed.after(sequence));
    Pack(out_).object(Kind::kTaken, 1).map(2).text("name").text(name).text("number").number(sequence);
  }
  for (; at < feed.size(); ++at) {
    const store::ChangeFeed::Place place = feed.at(at);
    if (!record.relay->newest(place)) continue;
    const store::OriginId number = number_of(table.origin(place.entry));
    if (number == store::kNobody) continue;
    const Bytes key = table.key(table.entry(place.entry));
    Pack(out_).object(Kind::kPlace, 3).bytes(key).number(number).number(place.sequence);
  }
  Pack(out_).object(Kind::kFeed, 1).number(feed.last());
}

void Encoder::write_section(const pipeline::TableRecord& record) {
  layout_number_ = record.table->layout_number();
  types_.assign(registry_.origins().size(), std::nullopt);
  Pack(out_)
      .object(Kind::kTable, 1)
      .map(2)
      .text("definition")
      .definition(record.table->definition())
      .text("replicated")
      .flag(record.replicated);
  if (scope_ == Scope::kOne) return;
  for (const auto& [origin, definition] : record.definitions) write_stored(record, origin);
  write_feed(record);
}

std::uint32_t Encoder::types_of(const store::Table& table, store::OriginId origin) {
  std::uint32_t types = 0;
  for (const StoredType& stored : table.definition().types) types |= 1U << static_cast<unsigned>(stored.type);
  return types & table.stored_types(origin);
}

void Encoder::write_stored(const pipeline::TableRecord& record, store::OriginId origin) {
  const store::OriginId number = number_of(origin);
  if (number == store::kNobody) return;
  if (types_.size() <= origin) types_.resize(std::size_t{origin} + 1);
  const std::uint32_t types = types_of(*record.table, origin);
  types_[origin] = types;
  const auto said = record.definitions.find(origin);
  const pipeline::Peer* peer = peer_of(origin);
  std::uint32_t live_id = 0;
  if (peer != nullptr) {
    const auto known = peer->live_ids.find(record.table->name());
    if (known != peer->live_ids.end()) live_id = known->second;
  }
  const bool has_said = scope_ != Scope::kOne && said != record.definitions.end();
  Pack pack(out_);
  pack.object(Kind::kStored, 1).map(has_said ? 4 : 3);
  pack.text("origin").number(number).text("types").number(types).text("live").number(live_id);
  if (has_said) pack.text("definition").definition(said->second);
}

void Encoder::write_contribution(const pipeline::TableRecord& record, store::ContributionId id,
                                 TimePoint now) {
  const store::Table& table = *record.table;
  const store::OriginId origin = table.origin(id);
  const store::OriginId number = number_of(origin);
  if (number == store::kNobody) return;
  if (types_.size() <= origin || types_[origin] != types_of(table, origin)) write_stored(record, origin);
  const store::Copy copy = table.copy(id, buffer_, now);
  // Elsewhere it has no meaning.
  const bool written = record.replicated && copy.writer != store::kNobody;
  const store::OriginId writer = written ? number_of(copy.writer) : store::kNobody;

  ++contributions_;
  Pack pack(out_);
  pack.object(Kind::kContribution, 10).bytes(copy.key).number(number);
  pack.number(copy.version.generation).number(copy.version.update_id);
  pack.number(milliseconds(copy.expires - now));
  pack.number((copy.cleared ? kCleared : 0) | (copy.owed ? kOwed : 0) | (table.adopted(id) ? kAdopted : 0));
  writer == store::kNobody ? pack.nothing() : pack.number(writer);
  copy.server_key.empty() ? pack.nothing() : pack.text(copy.server_key);
  pack.array(copy.cells.size());
  std::size_t cell = 0;
  for (const store::Column& column : table.layout().columns()) {
    if (!table.stores(id, column.type)) continue;
    const std::size_t cells = column.elements * (column.kind == ValueKind::kRate ? 3U : 1U);
    for (const std::size_t end = cell + cells; cell < end; ++cell) {
      column.kind == ValueKind::kSigned32 ? pack.signed_number(copy.cells[cell])
                                          : pack.number(copy.cells[cell]);
    }
  }
  pack.array(copy.changes.size());
  for (const std::uint64_t change : copy.changes) pack.number(change);
}

store::OriginId Encoder::number_of(store::OriginId origin) {
  const store::Origin& known = registry_.origins()[origin];
  if (numbers_.size() <= origin) numbers_.resize(std::size_t{origin} + 1);
  Numbered& numbered = numbers_[origin];
  if (numbered.number != store::kNobody && numbered.name == known.name) return numbered.number;
  if (next_number_ == kMaxOrigins) return store::kNobody;
  numbered = {known.name, next_number_};
  const pipeline::Peer* peer = peer_of(origin);
  const bool heard =
      scope_ != Scope::kOne && peer != nullptr && (peer->link != nullptr || peer->last_seen != TimePoint{});
  Pack pack(out_);
  pack.object(Kind::kOrigin, 1).map(heard ? 7 : 3);
  pack.text("name").text(known.name).text("generation").number(known.generation);
  pack.text("known").number(known.process);
  if (heard) {
    pack.text("away").number(peer->link != nullptr ? 0 : milliseconds(clock_ - peer->last_seen));
    // One that is asked once more is not complete yet.
    pack.text("pid").number(peer->pid).text("complete").flag(peer->complete && !peer->succeeds);
    pack.text("process").number(peer->process);
  }
  return next_number_++;
}

const pipeline::Peer* Encoder::peer_of(store::OriginId origin) const {
  const auto& peers = hub_.peers();
  const auto found = std::find_if(peers.begin(), peers.end(),
                                  [&](const pipeline::Peer& peer) { return peer.origin == origin; });
  return found == peers.end() ? nullptr : &*found;
}

}  // namespace stickmesh::snapshot
