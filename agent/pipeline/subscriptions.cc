#include "agent/pipeline/subscriptions.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace stickmesh::pipeline {

namespace {

// A mark is for two seconds, and one is taken every half: more could not be sent in time.
constexpr std::size_t kMaxBarriers = 4;
constexpr std::size_t kFewEntries = 20;

}  // namespace

void Subscriptions::begin(Peer& peer, bool resume) {
  peer_ = &peer;
  resume_ = resume;
}

std::optional<std::size_t> Subscriptions::announced(const TableDefinition& definition) {
  const auto find = [&] {
    return std::find_if(subscriptions_.begin(), subscriptions_.end(),
                        [&](const Subscription& had) { return had.announced.name == definition.name; });
  };
  auto known = find();
  if (known == subscriptions_.end()) {
    awaited_[std::string(canonical_name(definition.name))] = definition;
    subscribe();
    known = find();
    if (known == subscriptions_.end()) return std::nullopt;
  } else if (known->announced != definition) {
    known->announced = definition;
    shape(*known);
  }
  return static_cast<std::size_t>(known - subscriptions_.begin());
}

void Subscriptions::subscribe() {
  for (auto awaited = awaited_.begin(); awaited != awaited_.end();) {
    TableRecord* record = registry_.find_output(awaited->first);
    if (record == nullptr) {
      ++awaited;
      continue;
    }
    Subscription subscription;
    subscription.announced = awaited->second;
    subscription.record = record;
    const auto known = peer_->acknowledged.find(awaited->first);
    if (resume_ && known != peer_->acknowledged.end()) {
      subscription.cursor = subscription.acknowledged = subscription.arrived = known->second;
      subscription.everything_until = subscription.used_until = known->second;
    } else {
      start_over(subscription);
    }
    shape(subscription);
    subscriptions_.push_back(std::move(subscription));
    awaited = awaited_.erase(awaited);
  }
  outputs_number_ = registry_.outputs_number();
}

void Subscriptions::release_shape(Subscription& subscription) {
  if (!subscription.shape) return;
  subscription.record->output->release(*subscription.shape, subscription.layout_number);
  subscription.shape.reset();
}

void Subscriptions::shape(Subscription& subscription) {
  const bool before = subscription.shape.has_value();
  release_shape(subscription);
  subscription.layout_number = subscription.record->table->layout_number();
  Result<ShapeId> shape = subscription.record->output->shape_for(subscription.announced);
  if (shape) {
    subscription.shape = *shape;
    subscription.problem.clear();
    if (before) start_over(subscription);
    return;
  }
  if (std::exchange(subscription.problem, to_string(shape.error())) != subscription.problem) {
    complain_(shape.error());
  }
}

void Subscriptions::acknowledged(peers::TableId table, std::uint32_t update_id) {
  if (table == 0 || table > subscriptions_.size()) return;
  Subscription& subscription = subscriptions_[table - 1];
  const std::uint64_t sequence = subscription.record->output->feed().sequence_of(update_id);
  // Some versions acknowledge numbers that were never sent (peers-protocol 6): these say nothing.
  if (sequence > subscription.cursor || sequence <= subscription.acknowledged) return;
  subscription.acknowledged = sequence;
  if (sequence <= subscription.used_until) return;
  subscription.arrived = peer_->acknowledged[subscription.record->output->name()] = sequence;
}

void Subscriptions::follow(std::size_t steps) {
  if (outputs_number_ != registry_.outputs_number()) subscribe();
  for (Subscription& subscription : subscriptions_) {
    const std::uint64_t last = subscription.record->output->feed().last();
    subscription.cursor = subscription.acknowledged = subscription.arrived = subscription.written = last;
    subscription.sent = std::max(subscription.sent, last);
    if (steps == 0) continue;
    subscription.followed.push_back(last);
    if (subscription.followed.size() > steps) subscription.followed.pop_front();
  }
  barriers_.clear();
}

void Subscriptions::take_over() {
  for (Subscription& subscription : subscriptions_) {
    start_over(subscription, subscription.followed.empty() ? 0 : subscription.followed.front());
    subscription.followed.clear();
  }
  took_over_ = true;
}

void Subscriptions::start_over(Subscription& subscription, std::uint64_t from) {
  subscription.cursor = subscription.acknowledged = subscription.arrived = subscription.written = from;
  Output& output = *subscription.record->output;
  peer_->acknowledged.erase(output.name());
  subscription.used_until = subscription.sent;
  // Else all that is sent again could end on a number that was used before, and would never be known to have
  // arrived.
  if (subscription.sent != 0) output.publish_newest_again();
  subscription.lesson_end = subscription.everything_until = output.feed().last();
}

void Subscriptions::rewind() {
  for (Subscription& subscription : subscriptions_) start_over(subscription);
}

bool Subscriptions::in_flight(const TableRecord& record, store::EntryId entry) const {
  const Subscription* subscription = find(record);
  const std::uint64_t sequence = record.output->newest(entry);
  // What the instance itself wrote last was passed over, not sent.
  const store::Table& table = *record.table;
  if (table.uses(entry) && table.writer(table.first(entry)) == peer_->origin) return false;
  return subscription != nullptr && sequence > subscription->arrived && sequence <= subscription->sent;
}

bool Subscriptions::has_another(const TableRecord& record, const peers::Update& update, TimePoint now) const {
  const Subscription* subscription = find(record);
  return subscription != nullptr && has_another(*subscription, record.table->find(update.key), update, now);
}

bool Subscriptions::has_another(const Subscription& subscription, store::EntryId entry,
                                const peers::Update& update, TimePoint now) {
  const store::Table& table = *subscription.record->table;
  if (!subscription.shape || subscription.layout_number != table.layout_number()) return false;
  if (entry == store::kNone || table.has_changed(entry)) return false;
  Output& output = *subscription.record->output;
  const std::uint64_t sequence = output.newest(entry);
  return sequence != 0 && sequence <= subscription.arrived &&
         !output.says_the_same(*subscription.shape, subscription.announced, update, entry, now);
}

const Subscription* Subscriptions::find(const TableRecord& record) const {
  const auto found =
      std::find_if(subscriptions_.begin(), subscriptions_.end(),
                   [&](const Subscription& subscription) { return subscription.record == &record; });
  return found == subscriptions_.end() ? nullptr : &*found;
}

bool Subscriptions::lesson_given() const {
  return std::all_of(subscriptions_.begin(), subscriptions_.end(), [](const Subscription& subscription) {
    return !subscription.shape || subscription.cursor >= subscription.lesson_end;
  });
}

bool Subscriptions::send(std::size_t backlog, Kinds kinds, TimePoint now) {
  if (outputs_number_ != registry_.outputs_number()) subscribe();
  for (Subscription& subscription : subscriptions_) {
    if (!(subscription.record->output->replicated() ? kinds.replicated : kinds.totals)) continue;
    const bool done = send(subscription, backlog, now);
    subscription.sent = std::max(subscription.sent, subscription.cursor);
    if (!done) return false;
  }
  return true;
}

bool Subscriptions::send(Subscription& subscription, std::size_t backlog, TimePoint now) {
  Output& output = *subscription.record->output;
  if (subscription.layout_number != subscription.record->table->layout_number()) shape(subscription);
  if (!subscription.shape) return true;
  const store::ChangeFeed& feed = output.feed();
  if (subscription.cursor == feed.last()) return true;
  const auto index = static_cast<std::size_t>(&subscription - subscriptions_.data());
  bool selected = false;
  for (std::size_t at = feed.after(subscription.cursor); at < feed.size(); ++at) {
    if (session_.pending().size() >= backlog) return false;
    subscription.record->table->prefetch_ahead(at, feed.size(),
                                               [&](std::size_t position) { return feed.at(position).entry; });
    const store::ChangeFeed::Place place = feed.at(at);
    subscription.cursor = place.sequence;
    const std::uint64_t newest = output.newest(place.entry);
    if (newest != place.sequence && !held_by_barrier(index, place.sequence, newest)) continue;
    if (output.replicated() && place.sequence > subscription.everything_until &&
        !output.is_news_to(peer_->origin, place.entry)) {
      continue;
    }
    const Bytes message = output.encode(*subscription.shape, place, now);
    if (message.empty()) continue;
    if (message.size() > peers::kMaxSentMessage) {
      complain_({Reason::kMessageTooLong,
                 fmt::format("an update of {} is longer than {} bytes, which is more than HAProxy takes",
                             output.name(), peers::kMaxSentMessage)});
      continue;
    }
    if (!selected) {
      session_.select(static_cast<peers::TableId>(index + 1), output.definition(*subscription.shape));
      selected = true;
    }
    session_.append_update(message);
    subscription.written = place.sequence;
  }
  subscription.cursor = feed.last();
  return true;
}

bool Subscriptions::settled(const Subscription& subscription) {
  return subscription.shape && subscription.cursor == subscription.record->output->feed().last() &&
         subscription.acknowledged >= subscription.written;
}

void Subscriptions::lesson_asked(bool audit) {
  for (Subscription& subscription : subscriptions_) {
    subscription.shown = 0;
    subscription.taught.reset();
    if (!settled(subscription)) continue;
    subscription.taught = subscription.record->table->entries();
    if (audit) subscription.created_asked = subscription.record->table->counters().created;
  }
}

void Subscriptions::shown(std::size_t index, const peers::Update& update, TimePoint now) {
  Subscription& subscription = subscriptions_[index];
  if (update.lesson) ++subscription.shown;
  store::Table& table = *subscription.record->table;
  const store::EntryId entry = table.find(update.key);
  if (has_another(subscription, entry, update, now)) table.mark_changed(entry);
}

void Subscriptions::lesson_complete(bool audit) {
  const bool compared = std::all_of(subscriptions_.begin(), subscriptions_.end(),
                                    [](const Subscription& had) { return had.taught || !had.shape; });
  const bool took_over = compared ? std::exchange(took_over_, false) : took_over_;
  for (Subscription& subscription : subscriptions_) {
    if (!subscription.taught) continue;
    const std::size_t taught = *std::exchange(subscription.taught, std::nullopt);
    subscription.audited = taught;
    if (audit) subscription.created_then = subscription.created_asked;
    if (took_over && subscription.shown < taught) {
      start_over(subscription);
      continue;
    }
    // Some may have expired meanwhile, or made place in a table that is just full. What it shows of a
    // replicated table is its own word, which is not counted here.
    const bool lacks =
        !subscription.record->replicated && subscription.shown + kFewEntries < taught - taught / 20;
    const bool said = !subscription.shortage.empty();
    subscription.shortage.clear();
    if (!lacks) continue;
    subscription.shortage = fmt::format(
        "its table {} has only {} of {} entries: it is full or `nopurge`; declare it with more room "
        "than all keys need, and without `nopurge`",
        subscription.record->output->name(), subscription.shown, taught);
    if (!said) complain_({Reason::kTableFull, subscription.shortage});
  }
}

bool Subscriptions::audit_due() const {
  return std::any_of(subscriptions_.begin(), subscriptions_.end(), [](const Subscription& subscription) {
    const store::Table& table = *subscription.record->table;
    if (!settled(subscription)) return false;
    // 3.0.0 and 3.2.0 never push a change of an entry that they were given, until it was in a lesson.
    if (subscription.record->replicated && table.counters().created != subscription.created_then) return true;
    return table.entries() > subscription.audited + subscription.audited / 10 + kFewEntries;
  });
}

void Subscriptions::place_barrier(const Mark& mark) {
  if (barriers_.size() >= kMaxBarriers) barriers_.pop_front();
  Barrier& barrier = barriers_.emplace_back();
  barrier.mark = mark;
  for (const Subscription& subscription : subscriptions_) {
    const Output& output = *subscription.record->output;
    barrier.places.push_back({output.feed().last(), output.compactions()});
  }
}

// A key that was published again behind a barrier has left its place before it. Its newest state then goes
// out at the old place as well: else the mark would speak of a value that is still to come.
bool Subscriptions::held_by_barrier(std::size_t index, std::uint64_t sequence, std::uint64_t newest) const {
  return newest != 0 && std::any_of(barriers_.begin(), barriers_.end(), [&](const Barrier& barrier) {
           return index < barrier.places.size() && sequence <= barrier.places[index].sequence &&
                  newest > barrier.places[index].sequence;
         });
}

Subscriptions::Standing Subscriptions::standing(const Barrier& barrier) const {
  for (std::size_t index = 0; index < barrier.places.size(); ++index) {
    const Subscription& subscription = subscriptions_[index];
    const Barrier::Place& place = barrier.places[index];
    if (!subscription.shape || subscription.cursor >= place.sequence) continue;
    // The old places of keys that were published again are gone.
    if (place.compactions != subscription.record->output->compactions()) return Standing::kVoid;
    return Standing::kWaiting;
  }
  return Standing::kPassed;
}

std::optional<Subscriptions::Passed> Subscriptions::take_passed(TimePoint now) {
  std::optional<Passed> newest;
  while (!barriers_.empty()) {
    const Barrier& barrier = barriers_.front();
    const Standing where = standing(barrier);
    if (where == Standing::kWaiting && now - barrier.mark.time < kMarkLife) break;
    if (where == Standing::kPassed) newest = {barrier.mark, barrier.places.size()};
    barriers_.pop_front();
  }
  return newest;
}

std::uint64_t Subscriptions::backlog() const {
  std::uint64_t waiting = 0;
  for (const Subscription& subscription : subscriptions_) waiting += backlog(subscription);
  return waiting;
}

std::uint64_t Subscriptions::backlog(const Subscription& subscription) {
  const store::ChangeFeed& feed = subscription.record->output->feed();
  return feed.size() - feed.after(subscription.cursor);
}

}  // namespace stickmesh::pipeline
