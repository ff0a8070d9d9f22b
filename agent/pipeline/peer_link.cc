#include "agent/pipeline/peer_link.h"

#include <fmt/format.h>

#include <algorithm>

namespace stickmesh::pipeline {

namespace {

// Enough for a full socket buffer; what is not encoded yet can still become newer.
constexpr std::size_t kHighWater = 256 * 1024;
constexpr Duration kAskAgain{1000};
constexpr Duration kCompareAtMost{16'000};
// A peer that does not finish its own lesson is taught all the same: HAProxy pushes nothing until it is.
constexpr Duration kLessonAtLatest{2000};
// HAProxy speaks every 3 s when idle.
constexpr Duration kPresent{4000};
// HAProxy acknowledges within a round trip, but some versions not while they learn.
constexpr Duration kAcknowledgedAtLatest{2000};
// A lesson only to see what the instance has made of what it was sent: seldom, and at most a hundredth of the
// time.
constexpr Duration kAuditStep{10'000};
constexpr peers::TableId kStatusTable = 0x20000;
constexpr peers::TableId kLimitsTable = 0x20001;
// While another agent publishes, the places of the last five seconds are kept, to go on from if it is gone.
constexpr Duration kFollowStep{500};
constexpr std::size_t kFollowSteps = 10;

}  // namespace

PeerLink::PeerLink(Hub& hub, peers::Options options, Peer* dialled, Source source, TimePoint now)
    : hub_(hub),
      peer_(dialled),
      source_(std::move(source)),
      session_(std::move(options), *this, now),
      subscriptions_(hub.registry(), session_,
                     [this](const Error& error) { complain(error, session_.traffic().last_received); }),
      status_(kStatusTable),
      limits_(kLimitsTable) {
  session_.set_wakeup([this] { wake(); });
  join_mesh();
  hub_.links_.push_back(this);
}

PeerLink::~PeerLink() {
  hub_.links_.remove(this);
}

std::string PeerLink::name() const {
  return peer_ != nullptr ? fmt::format("peer {} ({})", peer_->setup.name, source_.text) : source_.text;
}

void PeerLink::complain(const Error& error, TimePoint now) {
  hub_.errors().record(error, name(), now);
}

std::string PeerLink::problems() const {
  std::string all;
  const auto add = [&](const std::string& problem) {
    if (!problem.empty()) all += (all.empty() ? "" : "; ") + problem;
  };
  for (const auto& [second, problem] : clashes_) add(problem);
  for (const Input& input : inputs_) add(input.problem);
  for (const Subscription& subscription : subscriptions_.all()) {
    add(subscription.problem);
    add(subscription.shortage);
  }
  add(status_.problem());
  add(limits_.problem());
  if (mesh_) add(mesh_->problem());
  return all;
}

Result<void> PeerLink::receive(Bytes in, TimePoint now) {
  Result<void> result = session_.receive(in, now);
  hub_.wake();
  return result;
}

void PeerLink::closed(const Error& why, TimePoint now) {
  session_.closed(why, now);
  if (mesh_) mesh_->ended(now);
  mesh_.reset();
  hub_.ended(*this, why, now);
}

Result<void> PeerLink::admit(const peers::Hello& hello, TimePoint now) {
  Result<Peer*> peer = hub_.admit(*this, hello, now);
  if (!peer) return tl::unexpected(peer.error());
  peer_ = *peer;
  join_mesh();
  return {};
}

void PeerLink::join_mesh() {
  if (peer_ != nullptr && peer_->setup.kind == PeerKind::kAgent)
    mesh_ = std::make_unique<MeshLink>(hub_, session_, *peer_);
}

void PeerLink::established(TimePoint now) {
  const std::uint64_t pid = session_.role() == peers::Role::kAccepting ? session_.hello().pid : 0;
  const bool other_process = hub_.established(*this, *peer_, pid, now);
  if (mesh_) return runs() ? mesh_->established(now) : void();
  keeps_larger_ = !peer_->complete;
  if (other_process) hub_.registry().forget_servers(peer_->origin);
  subscriptions_.begin(*peer_, !other_process);
  ask(now);
}

bool PeerLink::heard_lately(TimePoint now) const {
  return running() && now - session_.traffic().last_received < kPresent;
}

bool PeerLink::caught_up() const {
  // One that is not read because it does not read itself must not hold up the marks of the others.
  // Below TLS more bytes arrive than are handed in; once none is left, all have come.
  return !running() || !session_.wants_input() || session_.traffic().bytes_in >= arrived_ || unread() == 0;
}

void PeerLink::lesson_requested(TimePoint now) {
  if (mesh_) return mesh_->lesson_requested(now);
  // It has lost what it had, so its counters start over; what it still knows is taken first.
  // A session that we made does not say by itself that this is another process.
  const bool dialled = session_.role() == peers::Role::kDialling;
  hub_.begin_generation(*peer_, dialled);
  if (dialled) peer_->forget_live_ids();
  keeps_larger_ = true;
  taught_ = false;
  lesson_due_ = now + kLessonAtLatest;
  if (!session_.learning()) ask(now);
}

void PeerLink::ask(TimePoint now, bool audit) {
  ask_again_.reset();
  auditing_ = audit;
  asked_ = now;
  subscriptions_.lesson_asked(audit);
  session_.request_lesson(now);
}

void PeerLink::lesson_ended(bool complete, TimePoint now) {
  if (mesh_) return mesh_->lesson_ended(complete, now);
  if (taught_ || (complete && !lesson_due_ && !giving_lesson_)) {
    keeps_larger_ = false;
    // Asked once more, it tells what it gave while its counters could still be those of a beginner, and what
    // the old process of a reload taught it behind our back.
    const bool once_more = kept_larger_ || (peer_->succeeds && complete);
    if (!std::exchange(taught_, false) && once_more) ask(now);
    kept_larger_ = false;
    if (complete) peer_->succeeds = false;
  }
  if (complete) {
    subscriptions_.lesson_complete(auditing_);
    // Less and less often: where there is always something under way, each change of a key mends it as well.
    if (subscriptions_.compares() && compare_wait_ < kCompareAtMost) compare_later(now, 2 * compare_wait_);
    next_audit_ = now + std::max(kAuditStep, 100 * (now - asked_));
    synchronised_ = true;
    if (walk_ == Walk::kNone) walk_ = Walk::kCleared;
    // A process that took over at a reload may have been taught older copies of our totals meanwhile.
    if (!std::exchange(peer_->complete, true)) subscriptions_.rewind();
  } else {
    peer_->succeeds = true;
    ask_again_ = now + kAskAgain;
  }
  if (lesson_due_) begin_lesson(now);
  hub_.wake();
}

void PeerLink::lesson_confirmed(TimePoint /*now*/) {
  if (mesh_) mesh_->lesson_confirmed();
}

void PeerLink::acknowledged(peers::TableId table, std::uint32_t update_id, TimePoint /*now*/) {
  if (mesh_) return mesh_->acknowledged(table, update_id);
  if (table == kStatusTable) return status_.acknowledge(update_id);
  if (table == kLimitsTable) return limits_.acknowledge(update_id);
  if (table < Restorer::kFirstTable) return subscriptions_.acknowledged(table, update_id);
  restorer_.acknowledged(table, update_id,
                         [this](std::size_t input, store::EntryId entry) { settle(input, entry); });
}

void PeerLink::settle(std::size_t input, store::EntryId entry) {
  store::Table& table = *inputs_[input].record->table;
  if (!table.uses(entry)) return;
  const store::ContributionId id = table.find(entry, peer_->origin);
  if (id != store::kNone) table.settle(id);
}

void PeerLink::begin_lesson(TimePoint now) {
  // Its own lesson may be so late that it has not said yet which tables it has.
  recall_inputs(now);
  lesson_due_.reset();
  giving_lesson_ = true;
  walk_ = Walk::kLesson;
  restored_inputs_ = 0;
  restoring_ = false;
  subscriptions_.rewind();
}

void PeerLink::run(TimePoint now) {
  if (!runs()) return;
  if (mesh_) return mesh_->run(now);
  fit_all(now);
  choose_publisher(now);
  if (ask_again_ && now >= *ask_again_) ask(now);
  if (lesson_due_ && now >= *lesson_due_) begin_lesson(now);
  if (const auto since = restorer_.waiting_since(); since && now - *since >= kAcknowledgedAtLatest) {
    // What it says from here on it says knowing of the zeros: they are before our request in its input.
    restorer_.settle_all([this](std::size_t input, store::EntryId entry) { settle(input, entry); });
    ask(now);
  }
  if (audit_due() && now >= next_audit_) ask(now, /*audit=*/true);
  if (walk_ != Walk::kNone && !write_inputs(now)) return;
  const bool replicates = synchronised_ || giving_lesson_;
  const bool totals = publishing_ == Hub::Publishing::kHere;
  const bool done = !Hub::sends(publishing_) || subscriptions_.send(kHighWater, {totals, replicates}, now);
  send_marks(now);
  const bool given = publishing_ != Hub::Publishing::kHere || subscriptions_.lesson_given();
  if (done && giving_lesson_ && given) end_lesson(now);
}

void PeerLink::choose_publisher(TimePoint now) {
  const Hub::Publishing before = std::exchange(publishing_, hub_.publishing(*peer_, now));
  if (Hub::sends(publishing_) && !Hub::sends(before)) ++peer_->publications;
  if (publishing_ == Hub::Publishing::kElsewhere) return follow(now);
  if (Hub::sends(publishing_) && std::exchange(follows_, false)) take_over(now);
}

void PeerLink::follow(TimePoint now) {
  follows_ = true;
  const bool step = now >= next_follow_;
  subscriptions_.follow(step ? kFollowSteps : 0);
  if (!step) return;
  next_follow_ = now + kFollowStep;
  followed_ids_.push_back(peer_->live_ids);
  if (followed_ids_.size() > kFollowSteps) followed_ids_.pop_front();
}

void PeerLink::compare_totals(TimePoint now) {
  if (!Hub::sends(publishing_)) follows_ = true;
  if (follows_) return;
  subscriptions_.compare_all();
  compare_later(now, kAskAgain);
}

// What the other has sent lately may not have arrived; what the instance makes of the rest its lesson shows.
void PeerLink::take_over(TimePoint now) {
  subscriptions_.take_over();
  if (!followed_ids_.empty()) {
    for (const auto& [table, live_id] : followed_ids_.front()) peer_->live_ids[table] = live_id;
  }
  followed_ids_.clear();
  next_follow_ = {};
  if (!synchronised_) return;
  ask(now);
  compare_later(now, kAskAgain);
}

void PeerLink::compare_later(TimePoint now, Duration wait) {
  compare_wait_ = wait;
  ask_again_ = now + wait;
}

bool PeerLink::audit_due() const {
  return synchronised_ && !session_.learning() && !giving_lesson_ && !lesson_due_ &&
         subscriptions_.audit_due();
}

bool PeerLink::write_inputs(TimePoint now) {
  const bool lesson = walk_ == Walk::kLesson;
  // No contribution is of an older generation than the first.
  const std::uint32_t generation = lesson ? peer_->generation : 0;
  for (; restored_inputs_ < inputs_.size(); ++restored_inputs_) {
    const Input& input = inputs_[restored_inputs_];
    store::Table& table = *input.record->table;
    if (!input.problem.empty() || input.record->replicated) continue;
    if (!lesson && table.owed(peer_->origin) == 0) continue;
    if (!std::exchange(restoring_, true)) restorer_.begin();
    if (!restorer_.run({session_, restored_inputs_, table, peer_->origin}, input.definition, generation,
                       kHighWater, now)) {
      return false;
    }
    restoring_ = false;
  }
  walk_ = Walk::kNone;
  restored_inputs_ = 0;
  return true;
}

void PeerLink::end_lesson(TimePoint now) {
  giving_lesson_ = false;
  session_.finish_lesson(/*complete=*/true, now);
  // What it made of ours, and what it kept of its own from before, is told only in a lesson.
  taught_ = true;
  ask(now);
}

void PeerLink::send_marks(TimePoint now) {
  const auto passed = subscriptions_.take_passed(now);
  if (!passed) return;
  const Mark& mark = passed->mark;
  for (std::size_t index = 0; index < passed->subscriptions; ++index) {
    const Subscription& subscription = subscriptions_.all()[index];
    const Output& output = *subscription.record->output;
    if (!subscription.shape || output.replicated()) continue;
    // One may have come or gone since the mark was made.
    const std::uint32_t left_out = std::min(hub_.left_out(*subscription.record, now), mark.present);
    status_.send(
        session_,
        {output.name(), static_cast<std::uint32_t>(mark.until), mark.present - left_out, mark.expected},
        mark.time + kMarkLife - now);
  }
  for (const Limit& limit : hub_.limits().all()) {
    const LimitValue& value = limit.value();
    limits_.send(session_, {limit.name, value.above, value.shadow ? 1U : 0U}, mark.time + kMarkLife - now);
  }
}

std::optional<TimePoint> PeerLink::next_run() const {
  std::optional<TimePoint> next;
  // What `run` does not do must not call for it again at once, and again.
  if (!runs()) return next;
  if (mesh_) return mesh_->next_run();
  const auto at_latest = [&](std::optional<TimePoint> when) {
    if (when && (!next || *when < *next)) next = when;
  };
  if (restoring_ && session_.pending().size() < kHighWater) return TimePoint{};
  at_latest(ask_again_);
  at_latest(lesson_due_);
  if (audit_due()) at_latest(next_audit_);
  if (const auto since = restorer_.waiting_since()) at_latest(*since + kAcknowledgedAtLatest);
  return next;
}

}  // namespace stickmesh::pipeline
