#include "agent/hooks/watches.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>

namespace stickmesh::hooks {

namespace {

/// Entries looked at in one `run`, for each function.
constexpr std::size_t kLooks = 256;
constexpr std::size_t kMostHigh = 100'000;
constexpr Duration kLookBackEvery{1000};

std::uint64_t key_hash(const store::Table& table, store::EntryId entry) {
  const Bytes key = table.key(entry);
  return XXH3_64bits(key.data(), key.size());
}

}  // namespace

void Watches::begin(TimePoint now, bool taking_over) {
  std::list<Follower> before = std::exchange(followers_, {});
  for (const Script::Update& update : hook_.script().updates()) {
    followers_.push_back({update.table, {}, 0, update.function});
  }
  for (const Script::Threshold& threshold : hook_.script().thresholds()) {
    const auto above = static_cast<std::uint64_t>(std::max<lua_Integer>(threshold.above, 0));
    followers_.push_back({threshold.table, threshold.type, above, threshold.function, taking_over});
  }
  for (Follower& follower : followers_) {
    const auto same = std::find_if(before.begin(), before.end(), [&](const Follower& other) {
      return other.following && other.table == follower.table && other.type == follower.type &&
             other.above == follower.above;
    });
    if (same == before.end()) continue;
    const Function function = follower.function;
    follower = std::move(*same);
    same->following = false;
    follower.function = function;
  }
  std::list<Timer> timers = std::exchange(timers_, {});
  for (const Script::Timer& timer : hook_.script().timers()) {
    const auto same = std::find_if(timers.begin(), timers.end(),
                                   [&](const Timer& other) { return other.interval == timer.interval; });
    timers_.push_back({timer.interval, timer.function, now + timer.interval});
    if (same == timers.end()) continue;
    timers_.back().next = same->next;
    timers.erase(same);
  }
}

std::optional<TimePoint> Watches::run(TimePoint now, std::chrono::steady_clock::time_point end) {
  end_ = end;
  const Breaker& breaker = hook_.breaker(Hook::Caller::kWatch);
  // What comes meanwhile is told then.
  if (breaker.open(now)) return now + breaker.left(now);
  std::optional<TimePoint> next;
  const auto at = [&](TimePoint when) {
    if (!next || when < *next) next = when;
  };
  for (Timer& timer : timers_) {
    if (timer.next <= now && !out_of_time()) {
      timer.next = now + timer.interval;
      hook_.call(Hook::Caller::kWatch, [&](Script& script) { return script.tick(timer.function); });
    }
    at(timer.next);
  }
  if (!hook_.script().on_peer().empty()) look_at_peers();
  const bool look_back = now >= next_look_back_;
  if (look_back) next_look_back_ = now + kLookBackEvery;
  for (Follower& follower : followers_) {
    if (look_back) follower.left = follower.order.size();
    if (follow(follower) || follower.left != 0) at(now);
    if (follower.left != 0) this->look_back(follower);
    if (!follower.high.empty()) at(next_look_back_);
  }
  // Another one is the first next time.
  if (!followers_.empty()) followers_.splice(followers_.end(), followers_, followers_.begin());
  if (!timers_.empty()) timers_.splice(timers_.end(), timers_, timers_.begin());
  return next;
}

bool Watches::follow(Follower& follower) {
  spoe::TableView* const view = host_.views.find(follower.table);
  if (view == nullptr || !view->record().output) return false;
  pipeline::Output& output = *view->record().output;
  const store::ChangeFeed& feed = output.feed();
  if (!std::exchange(follower.following, true)) {
    output.add_reader();
    follower.told = follower.from_start ? 0 : feed.last();
    if (!follower.type.empty() && !view->find(follower.type)) {
      host_.hub.errors().record({Reason::kHook, fmt::format("on_threshold: table '{}' stores no {}",
                                                            follower.table, follower.type)},
                                hook_.setup().file, host_.now);
    }
    if (!follower.from_start) return false;
  }
  std::size_t looks = 0;
  for (std::size_t at = feed.after(follower.told); at < feed.size(); ++at) {
    // Once bypassed, what is left is told afterwards.
    if (++looks > kLooks || out_of_time() || hook_.breaker(Hook::Caller::kWatch).open(host_.now)) return true;
    const store::ChangeFeed::Place place = feed.at(at);
    follower.told = place.sequence;
    if (output.newest(place.entry) == place.sequence) look(follower, *view, place.entry);
  }
  follower.told = feed.last();
  return false;
}

void Watches::look(Follower& follower, spoe::TableView& view, store::EntryId entry) {
  const auto tell = [&] {
    return hook_.call(Hook::Caller::kWatch,
                      [&](Script& script) { return script.tell_entry(follower.function, view, entry); });
  };
  if (follower.type.empty()) {
    if (view.knows(entry, host_.now)) tell();
    return;
  }
  const bool above = view.knows(entry, host_.now) && is_above(follower, view, entry);
  const auto known = follower.high.find(entry);
  if (!above) {
    if (known != follower.high.end()) known->second.above = false;
    return;
  }
  const Follower::High high{key_hash(view.table(), entry), true};
  const bool same = known != follower.high.end() && known->second.key_hash == high.key_hash;
  if (same && known->second.above) return;
  // One that has not returned is called again at the next change.
  if (!tell()) return;
  if (known != follower.high.end()) {
    known->second = high;
  } else if (follower.high.size() < kMostHigh) {
    follower.high.emplace(entry, high);
    follower.order.push_back(entry);
  }
}

bool Watches::is_above(const Follower& follower, spoe::TableView& view, store::EntryId entry) const {
  const auto field = view.find(follower.type);
  if (!field) return false;
  const spoe::Value total = view.total(entry, view.fields()[*field], host_.now);
  return total.is_integer() && total.signed_number() >= 0 && total.number > follower.above;
}

void Watches::look_back(Follower& follower) {
  spoe::TableView* const view = host_.views.find(follower.table);
  for (std::size_t looks = 0; looks < kLooks && follower.left != 0; ++looks, --follower.left) {
    const store::EntryId entry = follower.order.front();
    follower.order.pop_front();
    const auto known = follower.high.find(entry);
    const bool still = known->second.above && view != nullptr && view->knows(entry, host_.now) &&
                       key_hash(view->table(), entry) == known->second.key_hash &&
                       is_above(follower, *view, entry);
    still ? follower.order.push_back(entry) : void(follower.high.erase(known));
  }
}

void Watches::look_at_peers() {
  for (const pipeline::Peer& peer : host_.hub.peers()) {
    const bool up = peer.link != nullptr;
    bool& known = peers_[peer.setup.name];
    if (std::exchange(known, up) == up) continue;
    for (const Function function : hook_.script().on_peer()) {
      hook_.call(Hook::Caller::kWatch,
                 [&](Script& script) { return script.tell_peer(function, peer.setup.name, up); });
    }
  }
}

}  // namespace stickmesh::hooks
