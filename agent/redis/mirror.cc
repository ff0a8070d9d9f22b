#include "agent/redis/mirror.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <msgpack.hpp>

#include "agent/pipeline/accepted_origin.h"
#include "agent/redis/words.h"

namespace stickmesh::redis {

using store::EntryId;

namespace {

/// Few enough that a slow server holds up nothing but itself, enough to keep a fast one busy over a network.
constexpr std::size_t kMaxInFlight = 2048;
constexpr std::size_t kMaxPending = std::size_t{1} << 20U;
/// Entries of one `fill`: about half a millisecond.
constexpr std::size_t kTurns = 256;
constexpr Duration kCheckEvery{2000};

}  // namespace

Mirror::Table::Table(pipeline::TableRecord& of, std::string_view prefix)
    : record(&of),
      channel(fmt::format("{}:changes:{}", prefix, key_part(of.table->name()))),
      keys(prefix, *of.table),
      fields(*of.table) {}

Mirror::Mirror(pipeline::Hub& hub, Options options)
    : hub_(hub),
      options_(std::move(options)),
      list_(options_.prefix + ":tables"),
      agents_(options_.prefix + ":agents"),
      marker_(agents_),
      encoder_(hub, snapshot::Encoder::Scope::kOne) {
  if (options_.contributions) hub_.keep_heard();
}

void Mirror::begin(const Server& server, TimePoint now) {
  checked_ = now;
  checking_ = false;
  if (server.run == run_) return;
  if (!run_.empty()) ++counted_.rewritten;
  run_ = server.run;
  start_over();
}

void Mirror::start_over() {
  for (Table& table : tables_) {
    table.sent = table.confirmed = table.mark = 0;
    table.contributions_sent = table.contributions_confirmed = 0;
    table.listed.reset();
  }
  for (Sent& sent : in_flight_) sent.sequence = 0;
  marked_ = false;
}

void Mirror::look_for_tables() {
  if (outputs_number_ == hub_.registry().outputs_number()) return;
  outputs_number_ = hub_.registry().outputs_number();
  for (auto& [name, record] : hub_.registry().tables()) {
    if (!record.output || !hub_.registry().rules().mirrors(name)) continue;
    if (find(record) != nullptr) continue;
    tables_.emplace_back(record, options_.prefix);
    record.output->add_reader();
  }
}

void Mirror::note(const Sent& sent) {
  in_flight_.push_back(sent);
  if (sent.table != nullptr) ++sent.table->unanswered;
}

void Mirror::send(RedisSession& session, std::span<const std::string_view> words, const Sent& sent,
                  TimePoint now) {
  if (retrying_ && retrying_->asking) {
    note({nullptr, What::kAsking, 0, 0});
    session.send(std::array<std::string_view, 1>{"ASKING"}, now);
  }
  note({sent.table, sent.what, sent.id, sent.sequence, retrying_});
  session.send(words, now);
}

void Mirror::send(RedisSession& session, std::initializer_list<std::string_view> words, const Sent& sent,
                  TimePoint now) {
  send(session, std::span(words.begin(), words.size()), sent, now);
}

void Mirror::follow(TimePoint now) {
  look_for_tables();
  for (Table& table : tables_) {
    const std::uint64_t last = table.record->output->feed().last();
    if (table.mark > table.confirmed || last == table.confirmed) continue;
    table.mark = last;
    table.marked = now;
  }
}

void Mirror::fill(RedisSession& session, TimePoint now) {
  more_ = false;
  turns_ = kTurns;
  if (tables_.empty() || misplaced_) return;
  look_for_a_flush(session, now);
  for (Table& table : tables_) define(session, table, now);
  more_ = !fill_all(session, now);
}

// Each in its turn, or those that come first would leave the others no room while they keep coming.
bool Mirror::fill_all(RedisSession& session, TimePoint now) {
  constexpr std::size_t kKinds = 3;
  const std::size_t first = round_++ % kKinds;
  if (first == 0) tables_.splice(tables_.end(), tables_, tables_.begin());
  const auto of_tables = [&](auto fill_one) { return std::all_of(tables_.begin(), tables_.end(), fill_one); };
  for (std::size_t kind = first; kind < first + kKinds; ++kind) {
    const bool done = kind % kKinds == 0 ? fill_retries(session, now)
                      : kind % kKinds == 1
                          ? of_tables([&](Table& table) { return fill(session, table, now); })
                          : of_tables([&](Table& table) { return fill_contributions(session, table, now); });
    if (!done) return false;
  }
  return true;
}

void Mirror::look_for_a_flush(RedisSession& session, TimePoint now) {
  const std::string& name = hub_.setup().agent_name;
  if (!checking_ && !foreign_.empty()) {
    send(session, {"DEL", foreign_}, {nullptr, What::kRoom, 0, 0}, now);
    if (foreign_ == marker_) marked_ = false;
    for (Table& table : tables_) table.listed.reset();
    foreign_.clear();
  }
  if (!marker_.empty() && !std::exchange(marked_, true)) {
    send(session, {"HSET", marker_, name, "1"}, {nullptr, What::kMark, 0, 0}, now);
  }
  if (checking_ || marker_.empty() || now - checked_ < kCheckEvery) return;
  checking_ = true;
  listed_ = static_cast<std::int64_t>(std::count_if(
      tables_.begin(), tables_.end(), [](const Table& table) { return table.listed.has_value(); }));
  if (mine(list_)) send(session, {"HLEN", list_}, {nullptr, What::kList, 0, 0}, now);
  send(session, {"HEXISTS", marker_, name}, {nullptr, What::kMarker, 0, 0}, now);
}

void Mirror::define(RedisSession& session, Table& table, TimePoint now) {
  const TableDefinition& definition = table.record->table->definition();
  if (table.listed == definition || !mine(list_)) return;
  table.listed = definition;
  TableDefinition nameless = definition;
  nameless.name.clear();
  send(session, {"HSET", list_, definition.name, describe(nameless)}, {&table, What::kDefinition, 0, 0}, now);
}

bool Mirror::fill(RedisSession& session, Table& table, TimePoint now) {
  // Others may have written more than an agent knows that has just begun.
  if (!hub_.learned()) return true;
  pipeline::Output& output = *table.record->output;
  const store::ChangeFeed& feed = output.feed();
  for (std::size_t at = feed.after(table.sent); at < feed.size(); ++at) {
    if (!take_turn(session)) return false;
    table.record->table->prefetch_ahead(at, feed.size(),
                                        [&](std::size_t position) { return feed.at(position).entry; });
    const store::ChangeFeed::Place place = feed.at(at);
    table.sent = place.sequence;
    if (output.newest(place.entry) == place.sequence) write(session, table, place.entry, place.sequence, now);
  }
  table.sent = feed.last();
  // What has gone before it was its turn has no reply of its own.
  if (table.unanswered == 0) table.confirmed = table.sent;
  return true;
}

bool Mirror::fill_contributions(RedisSession& session, Table& table, TimePoint now) {
  if (!options_.contributions || !table.record->relay) return true;
  const pipeline::Relay& relay = *table.record->relay;
  const store::ChangeFeed& feed = relay.feed();
  const store::Table& from = *table.record->table;
  for (std::size_t at = feed.after(table.contributions_sent); at < feed.size(); ++at) {
    if (!take_turn(session)) return false;
    const store::ChangeFeed::Place place = feed.at(at);
    table.contributions_sent = place.sequence;
    const store::ContributionId id = place.entry;
    if (!relay.newest(place) || !from.live(id, now)) continue;
    write_contribution(session, table, id, place.sequence, now);
  }
  table.contributions_sent = feed.last();
  if (table.unanswered == 0) table.contributions_confirmed = table.contributions_sent;
  return true;
}

bool Mirror::has_room(const RedisSession& session) const {
  return in_flight_.size() < kMaxInFlight && session.pending().size() < kMaxPending;
}

bool Mirror::take_turn(const RedisSession& session) {
  if (turns_ == 0 || !has_room(session)) return false;
  --turns_;
  return true;
}

void Mirror::write(RedisSession& session, Table& table, EntryId entry, std::uint64_t sequence,
                   TimePoint now) {
  const store::Table& from = *table.record->table;
  if (from.layout().columns().empty()) return;  // Redis has no hash without a field
  const std::string_view key = table.keys.of(entry);
  if (!retrying_ && !mine(key)) return;
  if (!from.shown(entry, now)) {
    send(session, {"DEL", key}, {&table, What::kRemoval, entry, sequence}, now);
    if (options_.publish) publish(session, table, entry, {}, now);
    return;
  }
  const std::span<const std::string> fields = table.fields.of(entry, now, hub_.setup().wall_clock());
  words_.assign({"HSET", key});
  words_.insert(words_.end(), fields.begin(), fields.end());
  send(session, words_, {&table, What::kFields, entry, 0}, now);
  const Sent life{&table, What::kLife, entry, sequence};
  if (from.definition().expire.count() != 0) {
    send(session, {"PEXPIRE", key, fmt::format("{}", (from.end(entry) - now).count())}, life, now);
  } else {
    send(session, {"PERSIST", key}, life, now);
  }
  if (options_.publish) publish(session, table, entry, fields, now);
}

void Mirror::write_contribution(RedisSession& session, Table& table, store::ContributionId id,
                                std::uint64_t sequence, TimePoint now) {
  const store::Table& from = *table.record->table;
  const std::string& origin = hub_.registry().origins()[from.origin(id)].name;
  if (origin == pipeline::kAcceptedOrigin) return;  // that is where it came from
  const std::string_view key = table.keys.of(from.entry(id), origin);
  if (!retrying_ && !mine(key)) return;
  const std::string_view value = as_text(encoder_.one(*table.record, id, now));
  const Sent sent{&table, What::kContribution, id, sequence};
  if (from.definition().expire.count() == 0) {
    send(session, {"SET", key, value}, sent, now);
  } else {
    send(session, {"SET", key, value, "PX", fmt::format("{}", (from.expires(id) - now).count())}, sent, now);
  }
}

void Mirror::publish(RedisSession& session, Table& table, EntryId entry, std::span<const std::string> fields,
                     TimePoint now) {
  struct Out {
    std::vector<char>& bytes;
    void write(const char* data, std::size_t size) { bytes.insert(bytes.end(), data, data + size); }
  };
  news_.clear();
  Out out{news_};
  msgpack::packer<Out> packer(out);
  const auto text = [&](std::string_view value) {
    packer.pack_str(static_cast<std::uint32_t>(value.size()));
    packer.pack_str_body(value.data(), static_cast<std::uint32_t>(value.size()));
  };
  packer.pack_array(2);
  text(table.keys.of(entry).substr(table.keys.head()));
  if (fields.empty()) {
    packer.pack_nil();
  } else {
    packer.pack_map(static_cast<std::uint32_t>(fields.size() / 2));
    for (const std::string& field : fields) text(field);
  }
  send(session, {"PUBLISH", table.channel, {news_.data(), news_.size()}}, {&table, What::kNews, entry, 0},
       now);
}

Result<void> Mirror::replied(const Reply& reply, TimePoint now) {
  if (in_flight_.empty()) return refuse(Reason::kRedis, "protocol: it answers what was not asked");
  if (reply.error() && slots_) {
    if (const auto to = read_redirection(reply.text)) {
      redirected(*to, now);
      return {};
    }
  }
  // It stays in flight then: `ended` looks at what was not done.
  if (reply.error() && stops_all(reply.text)) return refuse(Reason::kRedis, explain(reply.text));
  const Sent sent = in_flight_.front();
  in_flight_.pop_front();
  if (sent.table != nullptr) --sent.table->unanswered;
  const bool wrong_type = reply.error() && kind_of(reply.text) == "WRONGTYPE";
  if (reply.error()) {
    if (sent.what == What::kFields && wrong_type) {
      wait({sent.table, sent.id, false}, {true, sent.retried && sent.retried->asking});
    } else {
      ++counted_.refused;
    }
    hub_.errors().record(
        {Reason::kRedis, explain(reply.text)},
        sent.table != nullptr ? fmt::format("Redis, table {}", sent.table->record->table->name()) : "Redis",
        now);
  }
  switch (sent.what) {
    case What::kFields:
      if (reply.error()) break;
      ++counted_.written;
      writes_.add({}, 1, now);
      break;
    case What::kRemoval:
      if (!reply.error()) ++counted_.removed;
      break;
    case What::kList:
      if (wrong_type) foreign_ = list_;
      if (reply.number >= listed_ || reply.error()) break;
      for (Table& table : tables_) table.listed.reset();
      break;
    case What::kMarker:
      checking_ = false;
      checked_ = now;
      if (wrong_type) foreign_ = marker_;
      if (reply.number != 0 || reply.error()) break;
      ++counted_.rewritten;
      start_over();
      break;
    case What::kContribution:
      sent.table->contributions_confirmed = std::max(sent.table->contributions_confirmed, sent.sequence);
      return {};
    case What::kLife:
    case What::kRoom:
    case What::kMark:
    case What::kNews:
    case What::kDefinition:
    case What::kAsking:
      break;
  }
  if (sent.table != nullptr) sent.table->confirmed = std::max(sent.table->confirmed, sent.sequence);
  return {};
}

void Mirror::ended() {
  for (const Sent& sent : in_flight_) {
    if (sent.what == What::kDefinition) sent.table->listed.reset();
    if (sent.what == What::kMark) marked_ = false;
    // Its place in the feed is confirmed.
    if (sent.retried) wait({sent.table, sent.id, sent.what == What::kContribution}, *sent.retried);
  }
  in_flight_.clear();
  for (Table& table : tables_) {
    table.sent = table.confirmed;
    table.contributions_sent = table.contributions_confirmed;
    table.unanswered = 0;
  }
  more_ = false;
}

std::uint64_t Mirror::behind(const Table& table) {
  const store::ChangeFeed& feed = table.record->output->feed();
  return feed.size() - feed.after(table.confirmed);
}

Mirror::Standing Mirror::standing(TimePoint now) const {
  Standing standing = counted_;
  standing.per_second = writes_.summary(now).per_second;
  for (const Table& table : tables_) {
    standing.behind += behind(table);
    if (options_.contributions && table.record->relay) {
      const store::ChangeFeed& feed = table.record->relay->feed();
      standing.contributions_behind += feed.size() - feed.after(table.contributions_confirmed);
    }
    if (table.mark > table.confirmed) standing.behind_for = std::max(standing.behind_for, now - table.marked);
  }
  return standing;
}

}  // namespace stickmesh::redis
