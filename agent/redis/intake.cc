#include "agent/redis/intake.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>

#include "agent/admin/entry_text.h"
#include "agent/admin/key_text.h"
#include "agent/base/printable.h"
#include "agent/pipeline/accepted_origin.h"
#include "agent/redis/entry_fields.h"
#include "agent/redis/number.h"
#include "agent/redis/words.h"

namespace stickmesh::redis {

using store::Column;
using store::ContributionId;
using store::EntryId;
using store::kNone;

namespace {

constexpr std::size_t kShown = 128;
/// Of a text, such as server_key.
constexpr std::size_t kMaxText = 255;
/// Of a hash: data types are fewer.
constexpr std::int64_t kMaxFields = 64;
/// Keys that are read a second time.
constexpr std::size_t kMaxDoubtful = 10'000;

// What `key_part` has made, as it was.
std::optional<std::string> plain_part(std::string_view part) {
  std::string out;
  for (std::size_t at = 0; at < part.size(); ++at) {
    if (part[at] != '%') {
      out += part[at];
    } else if (const std::string_view code = part.substr(at, 3); code == "%25" || code == "%3A") {
      out += code == "%25" ? '%' : ':';
      at += 2;
    } else {
      return std::nullopt;
    }
  }
  return out;
}

// Instances and other agents take it for broken.
bool is_text(std::string_view text) {
  return text.size() <= kMaxText && !has_control_character(text);
}

std::optional<std::uint64_t> read_value(const Column& column, std::string_view text) {
  if (column.kind == ValueKind::kSigned32) {
    const auto value = read_number<std::int32_t>(text);
    return value ? std::optional(static_cast<std::uint64_t>(std::int64_t{*value})) : std::nullopt;
  }
  if (column.kind == ValueKind::kUnsigned64) return read_number<std::uint64_t>(text);
  return read_number<std::uint32_t>(text);
}

void ask_for_all(RedisSession& session, const std::string& key, TimePoint now) {
  session.send(std::array<std::string_view, 1>{"MULTI"}, now);
  session.send(std::array<std::string_view, 1>{"TIME"}, now);
  session.send(std::array<std::string_view, 2>{"HGETALL", key}, now);
  session.send(std::array<std::string_view, 2>{"PTTL", key}, now);
  session.send(std::array<std::string_view, 1>{"EXEC"}, now);
}

void ask_for_length(RedisSession& session, const std::string& key, TimePoint now) {
  session.send(std::array<std::string_view, 2>{"HLEN", key}, now);
}

}  // namespace

Intake::Intake(pipeline::Hub& hub, std::string_view prefix, const std::vector<std::string>& tables)
    : hub_(hub), prefix_(fmt::format("{}:", prefix)), channel_(fmt::format("{}:accept", prefix)) {
  for (const std::string& pattern : tables) tables_.emplace_back(pattern);
}

std::optional<std::string> Intake::key_of(std::string_view announced, TimePoint now) {
  const std::size_t colon = announced.find(':');
  if (colon != std::string_view::npos && colon != 0 && colon + 1 != announced.size()) {
    return fmt::format("{}{}@{}:{}", prefix_, announced.substr(0, colon), pipeline::kAcceptedOrigin,
                       announced.substr(colon + 1));
  }
  note(refuse(Reason::kBadMessage, fmt::format("what is published on {} is not TABLE:KEY", channel_)),
       announced, now);
  return std::nullopt;
}

std::optional<store::Version> Intake::time_of(const Reply& reply) {
  constexpr std::uint64_t kMicro = 1'000'000;
  if (reply.list.size() != 2) return std::nullopt;
  const auto seconds = read_number<std::uint64_t>(reply.list[0].text);
  const auto micros = read_number<std::uint64_t>(reply.list[1].text);
  if (!seconds || !micros || *micros >= kMicro || *seconds > std::numeric_limits<std::uint32_t>::max())
    return std::nullopt;
  return pipeline::accepted_version(std::chrono::microseconds(*seconds * kMicro + *micros));
}

Walk Intake::walk(Reader reader) {
  const auto wanted = [prefix = prefix_, mine = reader.mine](std::string_view key) {
    const std::string_view rest = key.substr(std::min(prefix.size(), key.size()));
    const std::size_t at = rest.find('@');
    const std::size_t colon = rest.find(':');
    return at < colon && rest.substr(at + 1, colon - at - 1) == pipeline::kAcceptedOrigin && mine(key);
  };
  // Of a hash that is too long for one reply nothing is asked but its length.
  Reading reading{
      ask_for_all, 5, ask_for_length,
      [this](const std::string& key, const Reply& reply, TimePoint now) { return fits(key, reply, now); },
      [moved = reader.moved](const std::string& key, const Reply& error, TimePoint) { moved(key, error); }};
  return {fmt::format("{}*@{}:*", literal(prefix_), pipeline::kAcceptedOrigin), std::move(reading), wanted,
          [this, reader = std::move(reader), doubtful = Keys()](const std::string& key, const Reply& reply,
                                                                TimePoint now) mutable {
            take(key, reply, reader, doubtful, now);
          }};
}

bool Intake::fits(const std::string& key, const Reply& length, TimePoint now) {
  if (length.error()) {
    note(refuse(Reason::kRedis, explain(length.text)), key, now);
    return false;
  }
  if (length.number <= kMaxFields) return true;
  note(refuse(Reason::kValueOutOfRange,
              fmt::format("it has {} fields, of which {} are allowed", length.number, kMaxFields)),
       key, now);
  return false;
}

void Intake::note(Result<void> outcome, std::string_view key, TimePoint now) {
  if (outcome) {
    ++accepted_;
    return;
  }
  ++refused_;
  outcome.error().detail = fmt::format("{}: {}", printable(key, kShown), outcome.error().detail);
  hub_.errors().record(outcome.error(), "Redis, accept", now);
}

Result<Intake::Place> Intake::place_of(std::string_view key) {
  const std::string_view rest = key.substr(prefix_.size());
  const std::size_t at = rest.find('@');
  const auto name = plain_part(rest.substr(0, at));
  if (!name) return refuse(Reason::kNotFound, "in a table's name % and : are %25 and %3A");
  const bool wanted = std::any_of(tables_.begin(), tables_.end(),
                                  [&](const pipeline::Pattern& pattern) { return pattern.match(*name); });
  if (!wanted) return refuse(Reason::kNotFound, "redis.accept does not name this table");
  pipeline::TableRecord* record = hub_.registry().find(*name);
  if (record == nullptr)
    return refuse(Reason::kNotFound, "there is no such table: no instance and no [[table]] has it");
  if (record->replicated)
    return refuse(Reason::kNotFound, "it is a replicated table, whose entries only instances write");
  const std::string_view text = rest.substr(rest.find(':') + 1);
  const TableDefinition& definition = record->table->definition();
  if (definition.key_type == KeyType::kString) {
    if (text.empty() || text.size() >= definition.key_size)
      return refuse(Reason::kBadKey,
                    fmt::format("its key is not 1 to {} bytes long", definition.key_size - 1));
    if (text.find('\0') != std::string_view::npos) return refuse(Reason::kBadKey, "its key has a NUL byte");
    const Bytes bytes = as_bytes(text);
    return Place{record, {bytes.begin(), bytes.end()}};
  }
  auto read = admin::key_from_text(definition, text);
  if (!read) return refuse(Reason::kBadKey, read.error().detail);
  // Two hashes for one key would take turns.
  if (const std::string right = admin::key_to_text(definition.key_type, *read); right != text)
    return refuse(Reason::kBadKey, fmt::format("its key is written {}", printable(right, kShown)));
  return Place{record, std::move(*read)};
}

Result<std::pair<Intake::Place, store::Version>> Intake::read(const std::string& key, const Reply& reply) {
  if (reply.error()) return refuse(Reason::kRedis, explain(reply.text));
  if (reply.list.size() != 3) return refuse(Reason::kRedis, "protocol: its answer to EXEC is none");
  const auto version = time_of(reply.list[0]);
  if (!version) return refuse(Reason::kRedis, "protocol: its answer to TIME is no time");
  auto place = place_of(key);
  if (!place) return tl::unexpected(place.error());
  const Reply& fields = reply.list[1];
  if (fields.error()) return refuse(Reason::kRedis, explain(fields.text));
  return std::pair(std::move(*place), *version);
}

// What is newer than what was read was read by another agent while the reply was on its way, or before the
// clock of Redis went back. Then it is the reading that stands: its version follows the other's, so that all
// have it in the end.
void Intake::take(const std::string& key, const Reply& reply, const Reader& reader, Keys& doubtful,
                  TimePoint now) {
  auto taken = read(key, reply);
  if (!taken) {
    doubtful.erase(key);
    return note(tl::unexpected(taken.error()), key, now);
  }
  auto& [place, version] = *taken;
  const ContributionId id = held(place);
  const store::Version before = id == kNone ? store::Version{} : place.record->table->version(id);
  if (id == kNone || version.newer_than(before)) {
    doubtful.erase(key);
  } else if (doubtful.erase(key) == 0 && doubtful.size() < kMaxDoubtful && reader.again(key)) {
    doubtful.insert(key);
    return;
  } else {
    version = pipeline::next_version(before);
  }
  note(say(place, reply, version, now), key, now);
}

ContributionId Intake::held(const Place& place) {
  const EntryId entry = place.record->table->find(place.key);
  const auto origin = hub_.registry().origins().find(pipeline::kAcceptedOrigin);
  return entry == kNone || !origin ? kNone : place.record->table->find(entry, *origin);
}

Result<void> Intake::say(const Place& place, const Reply& reply, store::Version version, TimePoint now) {
  const Reply& fields = reply.list[1];
  if (fields.list.empty()) {
    remove(place, version, now);
    return {};
  }
  const std::int64_t left = reply.list[2].number;
  const Duration whole = place.record->table->definition().expire;
  const bool endless = left < 0 || (whole.count() != 0 && left > whole.count());
  return write(place, fields, endless ? whole : Duration(left), version, now);
}

Result<void> Intake::write(const Place& place, const Reply& fields, Duration life, store::Version version,
                           TimePoint now) {
  store::Table& table = *place.record->table;
  const auto origin = hub_.registry().origins().intern(pipeline::kAcceptedOrigin);
  if (!origin) return tl::unexpected(hub_.registry().no_place_for(pipeline::kAcceptedOrigin));
  const auto& columns = table.layout().columns();
  // The hash is all that is said: what other keys have and this has not is 0.
  std::uint32_t types = table.stored_types(*origin);
  const auto find = [&](std::string_view name) { return admin::find_value(table.layout(), name); };
  for (std::size_t at = 0; at + 1 < fields.list.size(); at += 2) {
    const std::string& name = fields.list[at].text;
    const auto found = find(name);
    if (!found)
      return refuse(Reason::kNotFound, fmt::format("the table has no data type {}", printable(name, kShown)));
    if (found->column->kind == ValueKind::kRate || found->column->type == DataType::kConnCur)
      return refuse(Reason::kValueOutOfRange,
                    fmt::format("{} cannot be written: it is of a moment that has passed", name));
    const std::string& value = fields.list[at + 1].text;
    const bool is_value = found->column->kind == ValueKind::kDictionary
                              ? is_text(value)
                              : read_value(*found->column, value).has_value();
    if (!is_value)
      return refuse(Reason::kValueOutOfRange,
                    fmt::format("{} is no value of {}", printable(value, kShown), name));
    types |= 1U << static_cast<unsigned>(found->column->type);
  }
  plan_.steps.clear();
  plan_.types = types;
  cells_.clear();
  std::string_view text;
  for (std::uint32_t index = 0; index < columns.size(); ++index) {
    const Column& column = columns[index];
    if ((types & 1U << static_cast<unsigned>(column.type)) == 0) continue;
    plan_.steps.push_back({static_cast<std::uint32_t>(cells_.size()), index});
    const std::size_t first = cells_.size();
    cells_.resize(first + column.elements, column.kind == ValueKind::kDictionary ? store::kTextNone : 0);
    for (std::size_t at = 0; at + 1 < fields.list.size(); at += 2) {
      const auto found = find(fields.list[at].text);
      if (found->column != &column) continue;
      const std::string& value = fields.list[at + 1].text;
      if (column.kind == ValueKind::kDictionary) {
        text = value;
        if (!value.empty()) cells_[first] = store::kTextSet;
      } else {
        cells_[first + found->element] = *read_value(column, value);
      }
    }
  }
  store::Change change{*origin, version, place.key, cells_, text, store::LifeKind::kAnew, {}};
  if (life.count() != 0) {
    change.life = store::LifeKind::kRemaining;
    change.remaining = life;
  }
  const store::Applied applied = table.apply(plan_, change, now);
  hub_.wake();
  if (applied == store::Applied::kNoMemory) return refuse(Reason::kNoMemory, "there is no room for the key");
  return {};
}

// First as a change of its own, which is newer than what others may hold of it.
void Intake::remove(const Place& place, store::Version version, TimePoint now) {
  store::Table& table = *place.record->table;
  const ContributionId id = held(place);
  if (id == kNone || table.cleared_contribution(id)) return;
  const Reply nothing;
  static_cast<void>(write(place, nothing, Duration(0), version, now));
  if (held(place) == id) table.clear_contribution(id, now, /*owed=*/false);
  hub_.wake();
}

std::vector<std::string> Intake::unseen(Sweep& sweep, const std::function<bool(std::string_view key)>& mine,
                                        std::size_t limit) {
  std::vector<std::string> found;
  const auto origin = hub_.registry().origins().find(pipeline::kAcceptedOrigin);
  if (!origin || hub_.registry().origins()[*origin].contributions == 0) return found;
  auto& tables = hub_.registry().tables();
  for (auto at = tables.lower_bound(sweep.table); at != tables.end(); ++at) {
    const auto& [name, record] = *at;
    if (name != sweep.table) sweep.entry = 0;
    sweep.table = name;
    const bool wanted = std::any_of(tables_.begin(), tables_.end(), [of = &name](const pipeline::Pattern& p) {
      return p.match(*of).has_value();
    });
    if (!wanted || record.replicated) continue;
    const store::Table& table = *record.table;
    EntryKeys keys(std::string_view(prefix_).substr(0, prefix_.size() - 1), table);
    EntryId entry = table.next(sweep.entry);
    for (; entry != kNone && found.size() < limit; entry = table.next(entry + 1)) {
      const ContributionId id = table.find(entry, *origin);
      if (id == kNone || table.cleared_contribution(id)) continue;
      // What is of after it may be of before its clock went back.
      const store::Version version = table.version(id);
      if (!sweep.since.newer_than(version) && !version.newer_than(sweep.until)) continue;
      if (const std::string_view key = keys.of(entry, pipeline::kAcceptedOrigin); mine(key))
        found.emplace_back(key);
    }
    sweep.entry = entry;
    if (found.size() == limit) break;
  }
  return found;
}

}  // namespace stickmesh::redis
