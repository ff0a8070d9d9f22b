#include "agent/pipeline/peer_link.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/base/log.h"

namespace stickmesh::pipeline {

static_assert(store::kTextNone == peers::kServerKeyNone && store::kTextSet == peers::kServerKeySet &&
              store::kTextUnchanged == peers::kServerKeyUnchanged);

namespace {

// Enough for a full socket buffer; what is not encoded yet can still become newer.
constexpr std::size_t kHighWater = 256 * 1024;
constexpr Duration kAskAgain{1000};
// A peer that does not finish its own lesson is taught all the same: HAProxy pushes nothing until it is.
constexpr Duration kLessonAtLatest{2000};

}  // namespace

PeerLink::PeerLink(Hub& hub, peers::Options options, Peer* dialled, Source source, TimePoint now)
    : hub_(hub), peer_(dialled), source_(std::move(source)), session_(std::move(options), *this, now) {
  session_.set_wakeup([this] { wake(); });
  hub_.links_.push_back(this);
}

PeerLink::~PeerLink() {
  hub_.links_.remove(this);
}

std::string PeerLink::name() const {
  return peer_ != nullptr ? fmt::format("peer {} ({})", peer_->setup.name, source_.text) : source_.text;
}

Result<void> PeerLink::receive(Bytes in, TimePoint now) {
  Result<void> result = session_.receive(in, now);
  hub_.wake();
  return result;
}

void PeerLink::closed(const Error& why, TimePoint now) {
  session_.closed(why, now);
  hub_.ended(*this, why, now);
}

Result<void> PeerLink::admit(const peers::Hello& hello, TimePoint now) {
  Result<Peer*> peer = hub_.admit(*this, hello, now);
  if (!peer) return tl::unexpected(peer.error());
  peer_ = *peer;
  return {};
}

void PeerLink::established(TimePoint now) {
  const std::uint64_t pid = session_.role() == peers::Role::kAccepting ? session_.hello().pid : 0;
  new_process_ = hub_.established(*this, *peer_, pid, now);
  keeps_larger_ = new_process_;
  session_.request_lesson(now);
}

bool PeerLink::clashes(const TableDefinition& definition, TimePoint now) {
  const auto [known, fresh] = wire_names_.emplace(canonical_name(definition.name), definition.name);
  if (fresh || known->second == definition.name) return false;
  const Error error{
      Reason::kDefinitionMismatch,
      fmt::format("announces both '{}' and '{}': the second is left out; give the table of the peers section "
                  "or the one of the proxy another name",
                  known->second, definition.name)};
  peer_->note = to_string(error);
  hub_.errors().record(error, name(), now);
  return true;
}

std::optional<std::uint32_t> PeerLink::table_defined(const TableDefinition& definition, TimePoint now) {
  if (clashes(definition, now)) return std::nullopt;
  const std::string_view table_name = canonical_name(definition.name);
  if (hub_.registry().rules().treat(table_name).kind == Treatment::Kind::kOutput) {
    const auto known =
        std::find_if(subscriptions_.begin(), subscriptions_.end(),
                     [&](const Subscription& had) { return had.announced.name == definition.name; });
    if (known == subscriptions_.end()) {
      awaited_[std::string(table_name)] = definition;
      subscribe_announced();
    } else if (known->announced != definition) {
      known->announced = definition;
      shape(*known);
    }
    return std::nullopt;
  }
  Result<TableRecord*> record = hub_.registry().define(peer_->origin, definition, now);
  if (!record) {
    peer_->note = to_string(record.error());
    hub_.errors().record(record.error(), name(), now);
    return std::nullopt;
  }
  const store::Table& table = *(*record)->table;
  Input input{*record, store::make_plan(definition, table.layout()), table.layout_number(), definition};
  const auto known =
      std::find_if(inputs_.begin(), inputs_.end(), [&](const Input& had) { return had.record == *record; });
  if (known != inputs_.end()) {
    input.updates = known->updates;
    *known = std::move(input);
    return static_cast<std::uint32_t>(known - inputs_.begin());
  }
  inputs_.push_back(std::move(input));
  return static_cast<std::uint32_t>(inputs_.size() - 1);
}

void PeerLink::updated(std::uint32_t handle, const peers::Update& update, TimePoint now) {
  Input& input = inputs_[handle];
  store::Table& table = *input.record->table;
  if (input.layout_number != table.layout_number()) {
    // Someone else's definition may stand by now, for which this sender's values do not fit.
    input.layout_number = table.layout_number();
    const bool fits = !store::mismatch(table.definition(), input.definition);
    input.plan = fits ? store::make_plan(input.definition, table.layout()) : store::Plan{};
  }
  if (input.plan.steps.empty()) return;
  ++input.updates;
  const bool expires = table.definition().expire.count() != 0;
  if (update.timed && expires && update.remaining.count() == 0) return;
  store::Change change{peer_->origin,          {}, update.key, update.cells, update.server_key,
                       store::LifeKind::kAnew, {}};
  change.version = {hub_.registry().origins()[peer_->origin].generation, update.update_id};
  change.keep_larger = keeps_larger_ && !(taught_ && update.lesson);
  if (update.timed) {
    change.life = store::LifeKind::kRemaining;
    change.remaining = update.remaining;
  }
  switch (table.apply(input.plan, change, now)) {
    case store::Applied::kNoMemory:
      hub_.errors().record({Reason::kNoMemory, "no room for a new key: raise [agent] max-memory"},
                           "table " + table.name(), now);
      break;
    case store::Applied::kKept:
      kept_larger_ = true;
      break;
    case store::Applied::kChanged:
    case store::Applied::kRefreshed:
    case store::Applied::kStale:
      break;
  }
}

void PeerLink::lesson_requested(TimePoint now) {
  // It has lost what it had, so its counters start over; what it still knows is taken first.
  ++hub_.registry().origins()[peer_->origin].generation;
  keeps_larger_ = true;
  taught_ = false;
  lesson_due_ = now + kLessonAtLatest;
  if (!session_.learning()) session_.request_lesson(now);
}

void PeerLink::lesson_ended(bool complete, TimePoint now) {
  ask_again_.reset();
  if (taught_ || (complete && !lesson_due_ && !giving_lesson_)) {
    keeps_larger_ = false;
    // What it gave while its counters could still be those of a beginner: now that it has all it had, it
    // means them.
    if (!std::exchange(taught_, false) && kept_larger_) session_.request_lesson(now);
    kept_larger_ = false;
  }
  if (complete) {
    synchronised_ = true;
    // A process that took over at a reload may have been taught older copies of our totals meanwhile.
    if (std::exchange(new_process_, false)) rewind();
  } else {
    ask_again_ = now + kAskAgain;
  }
  if (lesson_due_) begin_lesson();
  hub_.wake();
}

void PeerLink::acknowledged(peers::TableId table, std::uint32_t update_id, TimePoint /*now*/) {
  if (table == 0 || table > subscriptions_.size()) return;
  Subscription& subscription = subscriptions_[table - 1];
  const std::uint64_t sequence = subscription.record->output->feed().sequence_of(update_id);
  // Some versions acknowledge numbers that were never sent (peers-protocol 6): these say nothing.
  if (sequence > subscription.cursor || sequence <= subscription.acknowledged) return;
  subscription.acknowledged = sequence;
  peer_->acknowledged[subscription.record->output->name()] = sequence;
}

void PeerLink::subscribe_announced() {
  for (auto awaited = awaited_.begin(); awaited != awaited_.end();) {
    TableRecord* record = hub_.registry().find_output(awaited->first);
    if (record == nullptr) {
      ++awaited;
      continue;
    }
    Subscription subscription{awaited->second, record, std::nullopt, 0};
    if (!new_process_) {
      const auto known = peer_->acknowledged.find(awaited->first);
      if (known != peer_->acknowledged.end()) subscription.cursor = subscription.acknowledged = known->second;
    }
    subscription.lesson_end = record->output->feed().last();
    shape(subscription);
    subscriptions_.push_back(std::move(subscription));
    awaited = awaited_.erase(awaited);
  }
  outputs_number_ = hub_.registry().outputs_number();
}

void PeerLink::shape(Subscription& subscription) {
  subscription.layout_number = subscription.record->table->layout_number();
  const std::optional<ShapeId> before = subscription.shape;
  Result<ShapeId> shape = subscription.record->output->shape_for(subscription.announced);
  if (shape) {
    subscription.shape = *shape;
    if (before) subscription.cursor = 0;
    return;
  }
  subscription.shape.reset();
  peer_->note = to_string(shape.error());
  hub_.errors().record(shape.error(), name(), session_.traffic().last_received);
}

void PeerLink::rewind() {
  for (Subscription& subscription : subscriptions_) subscription.cursor = 0;
}

void PeerLink::begin_lesson() {
  lesson_due_.reset();
  giving_lesson_ = true;
  restored_inputs_ = 0;
  restoring_ = false;
  rewind();
  for (Subscription& subscription : subscriptions_) {
    subscription.lesson_end = subscription.record->output->feed().last();
  }
}

bool PeerLink::lesson_given() const {
  return std::all_of(subscriptions_.begin(), subscriptions_.end(), [](const Subscription& subscription) {
    return !subscription.shape || subscription.cursor >= subscription.lesson_end;
  });
}

bool PeerLink::send(Subscription& subscription, TimePoint now) {
  Output& output = *subscription.record->output;
  if (subscription.layout_number != subscription.record->table->layout_number()) shape(subscription);
  if (!subscription.shape) return true;
  const store::ChangeFeed& feed = output.feed();
  if (subscription.cursor == feed.last()) return true;
  bool selected = false;
  for (std::size_t at = feed.after(subscription.cursor); at < feed.size(); ++at) {
    if (session_.pending().size() >= kHighWater) return false;
    subscription.record->table->prefetch_ahead(at, feed.size(),
                                               [&](std::size_t position) { return feed.at(position).entry; });
    subscription.cursor = feed.at(at).sequence;
    const Bytes message = output.encode(*subscription.shape, feed.at(at), now);
    if (message.empty()) continue;
    if (message.size() > peers::kMaxSentMessage) {
      hub_.errors().record(
          {Reason::kMessageTooLong, fmt::format("an update of {} is longer than {} bytes, which is more than "
                                                "HAProxy takes",
                                                output.name(), peers::kMaxSentMessage)},
          name(), now);
      continue;
    }
    if (!selected) {
      const auto number = static_cast<peers::TableId>(&subscription - subscriptions_.data() + 1);
      session_.select(number, output.definition(*subscription.shape));
      selected = true;
    }
    session_.append_update(message);
  }
  subscription.cursor = feed.last();
  return true;
}

void PeerLink::run(TimePoint now) {
  if (!running() || peer_ == nullptr || peer_->link != this) return;
  if (ask_again_ && now >= *ask_again_ && !session_.learning()) {
    ask_again_.reset();
    session_.request_lesson(now);
  }
  if (lesson_due_ && now >= *lesson_due_) begin_lesson();
  if (giving_lesson_ && !restore(now)) return;
  if (outputs_number_ != hub_.registry().outputs_number()) subscribe_announced();
  for (Subscription& subscription : subscriptions_) {
    if (!send(subscription, now)) return;
  }
  if (giving_lesson_ && lesson_given()) end_lesson(now);
}

bool PeerLink::restore(TimePoint now) {
  const std::uint32_t generation = hub_.registry().origins()[peer_->origin].generation;
  for (; restored_inputs_ < inputs_.size(); ++restored_inputs_) {
    const Input& input = inputs_[restored_inputs_];
    const store::Table& table = *input.record->table;
    if (store::mismatch(table.definition(), input.definition)) continue;
    if (!restoring_) restorer_.begin(input.definition);
    restoring_ =
        !restorer_.run(session_, Restorer::kFirstTable + static_cast<peers::TableId>(restored_inputs_), table,
                       peer_->origin, generation, kHighWater, now);
    if (restoring_) return false;
  }
  return true;
}

void PeerLink::end_lesson(TimePoint now) {
  giving_lesson_ = false;
  session_.finish_lesson(/*complete=*/true, now);
  // What it made of ours, and what it kept of its own from before, is told only in a lesson.
  taught_ = true;
  session_.request_lesson(now);
}

std::optional<TimePoint> PeerLink::next_run() const {
  if (restoring_ && session_.pending().size() < kHighWater) return TimePoint{};
  if (!ask_again_) return lesson_due_;
  return lesson_due_ ? std::min(*ask_again_, *lesson_due_) : *ask_again_;
}

}  // namespace stickmesh::pipeline
