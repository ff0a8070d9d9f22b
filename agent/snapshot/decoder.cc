#include "agent/snapshot/decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "agent/peers/wire/definition.h"
#include "agent/snapshot/frame.h"
#include "agent/snapshot/objects.h"

namespace stickmesh::snapshot {

namespace {

constexpr std::uint64_t kMax32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kMax64 = std::numeric_limits<std::uint64_t>::max();

class Decoder {
 public:
  Decoder(Bytes records, Receiver& receiver) : objects_(records), receiver_(receiver) {}

  Result<void> run() {
    receiver_.header(header());
    while (fault().empty() && !objects_.at_end()) record();
    if (fault().empty()) return {};
    return refuse(Reason::kBadSnapshot, "it is not what this version writes: " + fault());
  }

 private:
  using Object = msgpack::object;
  using Fields = std::span<const Object>;

  const std::string& fault() const { return objects_.fault(); }

  Header header() {
    const Object& map = objects_.next();
    Header header;
    header.agent = objects_.text(objects_.get(map, "agent"), "the agent's name");
    header.written =
        static_cast<std::int64_t>(objects_.number(objects_.get(map, "written"), kMaxMilliseconds, "written"));
    if (const Object* incarnation = objects_.find(map, "incarnation")) {
      pipeline::Continuity& continuity = header.continuity.emplace();
      continuity.incarnation =
          static_cast<std::int64_t>(objects_.number(*incarnation, kMaxMilliseconds, "incarnation"));
      continuity.own_update_id =
          static_cast<std::uint32_t>(objects_.number(objects_.get(map, "own"), kMax32, "own"));
      continuity.lamport = objects_.number(objects_.get(map, "lamport"), store::kMaxChangeNumber, "lamport");
      continuity.learned = objects_.flag(objects_.get(map, "learned"), "learned");
      if (const Object* start = objects_.find(map, "start"))
        continuity.start = static_cast<std::uint32_t>(objects_.number(*start, kMax32, "start"));
      if (const Object* losses = objects_.find(map, "losses"))
        continuity.losses = static_cast<std::uint32_t>(objects_.number(*losses, kMax32, "losses"));
    }
    return header;
  }

  void record() {
    const Fields fields = objects_.array(objects_.next(), 2, "a record");
    if (fields.empty()) return;
    switch (static_cast<Kind>(objects_.number(fields[0], 0xff, "a kind of record"))) {
      case Kind::kClock:
        return clock(fields[1]);
      case Kind::kOrigin:
        return origin(fields[1]);
      case Kind::kTable:
        return table(fields[1]);
      case Kind::kStored:
        return stored(fields[1]);
      case Kind::kContribution:
        return contribution(fields);
      case Kind::kFellow:
        return fellow(fields[1]);
      case Kind::kFeed:
        return feed(fields[1]);
      case Kind::kPlace:
        return place(fields);
      case Kind::kTaken:
        return taken(fields[1]);
    }
  }

  void clock(const Object& object) {
    const Duration since = time(object, "a time");
    if (fault().empty()) receiver_.clock(since);
  }

  void origin(const Object& map) {
    OriginRecord origin;
    origin.name = objects_.text(objects_.get(map, "name"), "an origin's name");
    if (origin.name.empty() || origin.name.size() > kMaxName) objects_.fail("an origin's name");
    origin.generation = static_cast<std::uint32_t>(
        objects_.number(objects_.get(map, "generation"), store::kMaxGeneration, "generation"));
    if (const Object* known = objects_.find(map, "known"))
      origin.known_process = objects_.number(*known, kMax64, "of which process a generation is");
    if (const Object* away = objects_.find(map, "away")) {
      origin.away = time(*away, "away");
      origin.pid = objects_.number(objects_.get(map, "pid"), kMax64, "pid");
      origin.complete = objects_.flag(objects_.get(map, "complete"), "complete");
      if (const Object* process = objects_.find(map, "process"))
        origin.process = objects_.number(*process, kMax64, "process");
    }
    if (++origins_ > kMaxOrigins) objects_.fail("more origins than there can be");
    if (fault().empty()) receiver_.origin(origin);
  }

  void table(const Object& map) {
    TableSection section;
    section.definition = definition(objects_.get(map, "definition"));
    section.replicated = objects_.flag(objects_.get(map, "replicated"), "replicated");
    if (canonical_name(section.definition.name).empty()) objects_.fail("a table without a name");
    if (!fault().empty()) return;
    standing_ = section.definition;
    types_ = 0;
    for (const StoredType& type : standing_->types) types_ |= 1U << static_cast<unsigned>(type.type);
    stored_.clear();
    receiver_.table(section);
  }

  void stored(const Object& map) {
    StoredTypes stored;
    if (!standing_) return objects_.fail("what an origin stores, before any table");
    stored.origin = origin_number(objects_.get(map, "origin"));
    stored.types = static_cast<std::uint32_t>(objects_.number(objects_.get(map, "types"), kMax32, "types"));
    if ((stored.types & ~types_) != 0) objects_.fail("types that the table does not have");
    stored.live_id = static_cast<std::uint32_t>(objects_.number(objects_.get(map, "live"), kMax32, "live"));
    if (const Object* said = objects_.find(map, "definition")) {
      stored.definition = definition(*said);
      if (canonical_name(stored.definition->name) != canonical_name(standing_->name))
        objects_.fail("another table's definition");
    }
    if (!fault().empty()) return;
    if (stored_.size() <= stored.origin) stored_.resize(std::size_t{stored.origin} + 1);
    stored_[stored.origin] = {true, only(*standing_, stored.types).types};
    receiver_.stored(stored);
  }

  void contribution(Fields fields) {
    if (fields.size() < 11) return objects_.fail("a contribution that is too short");
    Contribution contribution;
    store::Copy& copy = contribution.copy;
    copy.key = objects_.bytes(fields[1], "a key");
    copy.origin = origin_number(fields[2]);
    if (stored_.size() <= copy.origin || !stored_[copy.origin].known)
      return objects_.fail("a contribution of an origin that stores nothing in the table");
    if (!key_fits(copy.key)) objects_.fail("a key that does not fit its table");
    copy.version.generation =
        static_cast<std::uint32_t>(objects_.number(fields[3], store::kMaxGeneration, "a generation"));
    copy.version.update_id = static_cast<std::uint32_t>(objects_.number(fields[4], kMax32, "an update id"));
    contribution.remaining = time(fields[5], "a life time");
    const std::uint64_t flags = objects_.number(fields[6], kMax32, "flags");
    copy.cleared = (flags & kCleared) != 0;
    copy.owed = (flags & kOwed) != 0;
    copy.heard = (flags & kAdopted) == 0;
    if (!fields[7].is_nil()) copy.writer = origin_number(fields[7]);
    if (!fields[8].is_nil()) copy.server_key = objects_.text(fields[8], "a server_key");
    read_cells(stored_[copy.origin].types, fields, !copy.server_key.empty());
    copy.cells = cells_;
    copy.changes = changes_;
    if (fault().empty()) receiver_.contribution(contribution);
  }

  void fellow(const Object& map) {
    FellowRecord fellow;
    fellow.name = objects_.text(objects_.get(map, "name"), "an agent's name");
    fellow.losses = number32(objects_.get(map, "losses"), "losses");
    fellow.start = number32(objects_.get(map, "start"), "start");
    fellow.had_losses = number32(objects_.get(map, "had"), "losses that it had");
    fellow.taker = number32(objects_.get(map, "taker"), "taker");
    if (fault().empty()) receiver_.fellow(fellow);
  }

  void feed(const Object& object) {
    if (!standing_) return objects_.fail("a feed, before any table");
    const std::uint64_t last = objects_.number(object, kMax64, "the last of a feed");
    if (fault().empty()) receiver_.feed(last);
  }

  void place(Fields fields) {
    if (fields.size() < 4 || !standing_) return objects_.fail("a place of no table");
    FeedPlace place;
    place.key = objects_.bytes(fields[1], "a key");
    if (!key_fits(place.key)) objects_.fail("a key that does not fit its table");
    place.origin = origin_number(fields[2]);
    place.sequence = objects_.number(fields[3], kMax64, "a place in a feed");
    if (fault().empty()) receiver_.place(place);
  }

  void taken(const Object& map) {
    if (!standing_) return objects_.fail("what an agent has taken, before any table");
    const std::string_view name = objects_.text(objects_.get(map, "name"), "an agent's name");
    const std::uint64_t sequence = objects_.number(objects_.get(map, "number"), kMax64, "a place in a feed");
    if (fault().empty()) receiver_.taken(name, sequence);
  }

  std::uint32_t number32(const Object& object, std::string_view what) {
    return static_cast<std::uint32_t>(objects_.number(object, kMax32, what));
  }

  void read_cells(const std::vector<StoredType>& types, Fields fields, bool has_text) {
    const Fields cells = objects_.array(fields[9], 0, "the cells");
    const Fields changes = objects_.array(fields[10], 0, "the numbers of changes");
    std::size_t expected_cells = 0;
    std::size_t expected_changes = 0;
    for (const StoredType& stored : types) {
      const bool rate = traits(stored.type).kind == ValueKind::kRate;
      expected_cells += stored.elements * (rate ? 3U : 1U);
      expected_changes += rate ? 0U : stored.elements;
    }
    cells_.clear();
    changes_.clear();
    if (cells.size() != expected_cells || changes.size() != expected_changes)
      return objects_.fail("a number of cells other than its origin stores");
    auto cell = cells.begin();
    for (const StoredType& stored : types) {
      for (std::uint32_t element = 0; element < stored.elements; ++element) {
        switch (traits(stored.type).kind) {
          case ValueKind::kSigned32:
            cells_.push_back(objects_.signed32(*cell++, "a signed value"));
            break;
          case ValueKind::kUnsigned32:
            cells_.push_back(objects_.number(*cell++, kMax32, "a value"));
            break;
          case ValueKind::kUnsigned64:
            cells_.push_back(objects_.number(*cell++, kMax64, "a value"));
            break;
          case ValueKind::kRate:
            cells_.push_back(objects_.number(*cell++, kMaxMilliseconds, "a rate's age"));
            cells_.push_back(objects_.number(*cell++, kMax32, "a rate"));
            cells_.push_back(objects_.number(*cell++, kMax32, "a rate"));
            break;
          case ValueKind::kDictionary:
            cells_.push_back(objects_.number(*cell++, store::kTextSet, "whether there is a server_key"));
            if ((cells_.back() == store::kTextSet) != has_text) objects_.fail("a server_key that is missing");
            break;
        }
      }
    }
    for (const Object& change : changes) {
      changes_.push_back(objects_.number(change, store::kMaxChangeNumber, "the number of a change"));
    }
  }

  TableDefinition definition(const Object& object) {
    const Bytes message = objects_.bytes(object, "a definition");
    Reader reader(message);
    reader.bytes(2);
    const Bytes body = reader.bytes(reader.varint());
    auto decoded = peers::decode_definition(reader.ok() ? body : Bytes{});
    std::vector<std::byte> again;
    Writer writer(again);
    if (decoded) peers::encode_definition(decoded->id, decoded->definition, writer);
    // What differs is a type that we do not know, or was not written by an agent.
    if (decoded && !decoded->definition.versioned &&
        std::equal(again.begin(), again.end(), message.begin(), message.end()))
      return decoded->definition;
    objects_.fail("the definition of a table that this version cannot have");
    return {};
  }

  store::OriginId origin_number(const Object& object) {
    const std::uint64_t number = objects_.number(object, kMaxOrigins, "the number of an origin");
    if (number >= origins_) objects_.fail("an origin that has not come yet");
    return static_cast<store::OriginId>(number);
  }

  Duration time(const Object& object, std::string_view what) {
    return Duration(objects_.number(object, kMaxMilliseconds, what));
  }

  bool key_fits(Bytes key) const {
    if (standing_->key_type != KeyType::kString) return key.size() == standing_->key_size;
    return key.size() < standing_->key_size && std::find(key.begin(), key.end(), std::byte{0}) == key.end();
  }

  // A peer's name has at most 255 bytes, an incarnation's a number behind it.
  static constexpr std::size_t kMaxName = 300;

  Objects objects_;
  Receiver& receiver_;
  std::size_t origins_ = 0;
  std::optional<TableDefinition> standing_;
  std::uint32_t types_ = 0;
  struct Stored {
    bool known = false;
    std::vector<StoredType> types;
  };
  std::vector<Stored> stored_;  ///< by origin
  std::vector<std::uint64_t> cells_;
  std::vector<std::uint64_t> changes_;
};

}  // namespace

TableDefinition only(TableDefinition definition, std::uint32_t types) {
  std::erase_if(definition.types, [&](const StoredType& stored) {
    return (types >> static_cast<unsigned>(stored.type) & 1U) == 0;
  });
  return definition;
}

Result<void> decode(Bytes file, Receiver& receiver) {
  const Result<Bytes> records = unframe(file);
  if (!records) return tl::unexpected(records.error());
  return Decoder(*records, receiver).run();
}

}  // namespace stickmesh::snapshot
