#include "agent/redis/mirror.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "agent/redis/words.h"

namespace stickmesh::redis {

using store::EntryId;

namespace {

/// Few enough that a slow server holds up nothing but itself, enough to keep a fast one busy over a network.
constexpr std::size_t kMaxInFlight = 2048;
constexpr std::size_t kMaxPending = std::size_t{1} << 20U;
constexpr Duration kCheckEvery{2000};

}  // namespace

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
    table.definition.clear();
  }
  for (Sent& sent : in_flight_) sent.sequence = 0;
}

void Mirror::look_for_tables() {
  if (outputs_number_ == hub_.registry().outputs_number()) return;
  outputs_number_ = hub_.registry().outputs_number();
  for (auto& [name, record] : hub_.registry().tables()) {
    if (!record.output || !hub_.registry().rules().mirrors(name)) continue;
    const bool known = std::any_of(tables_.begin(), tables_.end(),
                                   [of = &record](const Table& table) { return table.record == of; });
    if (known) continue;
    tables_.emplace_back(record, prefix_);
    record.output->add_reader();
  }
}

void Mirror::note(const Sent& sent) {
  in_flight_.push_back(sent);
  if (sent.table != nullptr) ++sent.table->unanswered;
}

void Mirror::send(RedisSession& session, std::initializer_list<std::string_view> words, const Sent& sent,
                  TimePoint now) {
  note(sent);
  session.send(std::span(words.begin(), words.size()), now);
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
  if (tables_.empty()) return;
  const std::string list = prefix_ + ":tables";
  // Before anything was listed, that there is no list says nothing.
  const bool listed = std::any_of(tables_.begin(), tables_.end(),
                                  [](const Table& table) { return !table.definition.empty(); });
  if (listed && !checking_ && now - checked_ >= kCheckEvery) {
    checking_ = true;
    send(session, {"EXISTS", list}, {nullptr, What::kCheck, 0, 0}, now);
  }
  for (const Retry& retry : std::exchange(retries_, {})) {
    if (!retry.table->record->table->uses(retry.entry)) continue;
    send(session, {"DEL", retry.table->keys.of(retry.entry)},
         {retry.table, What::kRoom, retry.entry, 0, true}, now);
    write(session, *retry.table, retry.entry, 0, now);
  }
  for (Table& table : tables_) define(session, table, now);
  more_ =
      !std::all_of(tables_.begin(), tables_.end(), [&](Table& table) { return fill(session, table, now); });
  // Another one is the first next time.
  tables_.splice(tables_.end(), tables_, tables_.begin());
}

void Mirror::define(RedisSession& session, Table& table, TimePoint now) {
  TableDefinition definition = table.record->table->definition();
  definition.name.clear();
  std::string words = describe(definition);
  if (words == table.definition) return;
  table.definition = std::move(words);
  send(session, {"HSET", prefix_ + ":tables", table.record->table->name(), table.definition},
       {&table, What::kDefinition, 0, 0}, now);
}

bool Mirror::fill(RedisSession& session, Table& table, TimePoint now) {
  pipeline::Output& output = *table.record->output;
  const store::ChangeFeed& feed = output.feed();
  for (std::size_t at = feed.after(table.sent); at < feed.size(); ++at) {
    if (in_flight_.size() >= kMaxInFlight || session.pending().size() >= kMaxPending) return false;
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

void Mirror::write(RedisSession& session, Table& table, EntryId entry, std::uint64_t sequence,
                   TimePoint now) {
  const store::Table& from = *table.record->table;
  if (from.layout().columns().empty()) return;  // Redis has no hash without a field
  const bool retried = sequence == 0;
  const std::string_view key = table.keys.of(entry);
  if (!from.shown(entry, now)) {
    return send(session, {"DEL", key}, {&table, What::kRemoval, entry, sequence, retried}, now);
  }
  words_.assign({"HSET", key});
  for (const std::string& field : table.fields.of(entry, now, std::chrono::system_clock::now()))
    words_.push_back(field);
  const bool ends = from.definition().expire.count() != 0;
  note({&table, What::kFields, entry, ends ? 0 : sequence, retried});
  session.send(words_, now);
  if (!ends) return;
  const std::string remaining = fmt::format("{}", (from.end(entry) - now).count());
  send(session, {"PEXPIRE", key, remaining}, {&table, What::kLife, entry, sequence, retried}, now);
}

Result<void> Mirror::replied(const Reply& reply, TimePoint now) {
  if (in_flight_.empty()) return refuse(Reason::kRedis, "protocol: it answers what was not asked");
  // It stays in flight then: `ended` looks at what was not done.
  if (reply.error() && stops_all(reply.text)) return refuse(Reason::kRedis, explain(reply.text));
  const Sent sent = in_flight_.front();
  in_flight_.pop_front();
  if (sent.table != nullptr) --sent.table->unanswered;
  if (reply.error()) {
    if (sent.what == What::kFields && kind_of(reply.text) == "WRONGTYPE") {
      retries_.push_back({sent.table, sent.entry});
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
    case What::kCheck:
      checking_ = false;
      checked_ = now;
      if (reply.number == 0 && !reply.error()) {
        ++counted_.rewritten;
        start_over();
      }
      break;
    case What::kLife:
    case What::kRoom:
    case What::kDefinition:
      break;
  }
  if (sent.table != nullptr) sent.table->confirmed = std::max(sent.table->confirmed, sent.sequence);
  return {};
}

void Mirror::ended() {
  for (const Sent& sent : in_flight_) {
    if (sent.what == What::kDefinition) sent.table->definition.clear();
    // Its place in the feed was confirmed when something else was found at its key.
    const auto same = [&](const Retry& retry) {
      return retry.table == sent.table && retry.entry == sent.entry;
    };
    if (sent.retried && (retries_.empty() || !same(retries_.back())))
      retries_.push_back({sent.table, sent.entry});
  }
  in_flight_.clear();
  for (Table& table : tables_) {
    table.sent = table.confirmed;
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
    if (table.mark > table.confirmed) standing.behind_for = std::max(standing.behind_for, now - table.marked);
  }
  return standing;
}

}  // namespace stickmesh::redis
