#include "tests/unit/sim/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "agent/aggregate/totals.h"

namespace stickmesh::sim {

namespace {

using store::Column;
using store::ContributionId;
using store::kNone;

/// Judges one key after the other.
class Check {
 public:
  Check(Cluster& cluster, const Ledger& ledger)
      : cluster_(cluster), ledger_(ledger), now_(cluster.now()), expire_(cluster.setup().expire) {
    // What changes while a lesson is under way is told after it: there, back and there again.
    slack_ = 3 * cluster.lag() + Duration(300);
    for (std::size_t instance = 0; instance < cluster.size(); ++instance) {
      cluster.process(instance)->input().purge(now_);
      cluster.process(instance)->total().purge(now_);
    }
  }

  std::vector<std::string> run() {
    table_ = cluster_.agent()->table("http");
    for (key_ = 0; key_ < kKeys; ++key_) {
      entry_ = table_ == nullptr ? kNone : table_->find(as_bytes(key_name(key_)));
      // Where something is about to end, it may have ended here and not yet there.
      bool calm = true;
      for (std::size_t instance = 0; instance < cluster_.size(); ++instance) calm &= !ends_now(instance);
      if (!calm) continue;
      for (std::size_t instance = 0; instance < cluster_.size(); ++instance) check_contribution(instance);
      if (entry_ != kNone) check_sums();
      for (std::size_t instance = 0; instance < cluster_.size(); ++instance) check_total(instance);
    }
    return std::move(problems_);
  }

 private:
  template <typename... Args>
  void wrong(std::size_t instance, fmt::format_string<Args...> format, Args&&... args) {
    problems_.push_back(fmt::format("{} {}: {}", cluster_.name(instance), key_name(key_),
                                    fmt::format(format, std::forward<Args>(args)...)));
  }
  long long left(TimePoint when) const { return (when - now_).count(); }
  bool soon(TimePoint when) const { return std::abs(left(when)) < slack_.count(); }
  const Column& column(DataType type) const { return *table_->layout().find(type); }
  std::uint64_t number(ContributionId id, DataType type) const { return table_->number(id, column(type), 0); }
  Frequency rate(ContributionId id) const {
    const store::RateValue held = table_->rate(id, column(DataType::kHttpReqRate), 0);
    return {tick(held.start), held.current, held.previous};
  }
  std::uint64_t total(DataType type) const {
    return aggregate::Totals(*table_).number(entry_, column(type), 0, now_);
  }
  const Ledger::Key& known(std::size_t instance) const { return ledger_.keys[instance][key_]; }
  const StickTable::Entry* own(std::size_t instance) const {
    return cluster_.process(instance)->input().find(key_name(key_));
  }
  ContributionId contribution(std::size_t instance) const {
    if (entry_ == kNone) return kNone;
    const auto origin = cluster_.agent()->origin(cluster_.name(instance));
    return origin ? table_->find(entry_, *origin) : kNone;
  }

  bool ends_now(std::size_t instance) const;
  TimePoint latest_end(std::size_t instance) const;
  bool may_lack(std::size_t instance) const;
  void check_contribution(std::size_t instance);
  void check_values(std::size_t instance, const StickTable::Entry& entry, ContributionId id);
  void check_sums();
  void check_total(std::size_t instance);
  void check_total_life(std::size_t instance, const StickTable::Entry& shown);
  void check_total_rate(std::size_t instance, const Frequency& shown);

  Cluster& cluster_;
  const Ledger& ledger_;
  TimePoint now_;
  Duration expire_;
  Duration slack_{};
  const store::Table* table_ = nullptr;
  std::size_t key_ = 0;
  store::EntryId entry_ = kNone;
  std::vector<std::string> problems_;
};

bool Check::ends_now(std::size_t instance) const {
  const StickTable::Entry* entry = own(instance);
  const ContributionId id = contribution(instance);
  // One that HAProxy keeps past its end, because it is in use or was taught too late (peers-protocol 2.3),
  // may be told of or not.
  return soon(known(instance).touched + expire_) ||
         (entry != nullptr && left(entry->expires) < slack_.count()) ||
         (id != kNone && soon(table_->expires(id)));
}

TimePoint Check::latest_end(std::size_t instance) const {
  const Ledger::Key& key = known(instance);
  // A change that waited to be pushed, and was dropped before a lesson could tell its age, counts as new.
  TimePoint end = std::max({key.touched, key.revived, key.evicted}) + expire_;
  if (const StickTable::Entry* entry = own(instance)) end = std::max(end, entry->queued);
  return end + slack_;
}

// HAProxy tells nobody that it has dropped an entry for want of room, nor that an earlier process's is lost.
// What was counted stays counted until it expires.
bool Check::may_lack(std::size_t instance) const {
  const Ledger::Key& key = known(instance);
  const Process& process = *cluster_.process(instance);
  return std::max(key.evicted, key.revived) >= key.touched ||
         (key.pid != process.pid() && !process.restored());
}

void Check::check_contribution(std::size_t instance) {
  const StickTable::Entry* entry = own(instance);
  const ContributionId id = contribution(instance);
  const bool held = id != kNone && table_->live(id, now_);
  if (held && table_->expires(id) > latest_end(instance)) {
    wrong(instance, "the agent's entry outlives its last use by {} ms",
          (table_->expires(id) - latest_end(instance)).count());
  }
  if (entry != nullptr) {
    if (held) return check_values(instance, *entry, id);
    return wrong(instance, "the agent lacks it (count {}, {} ms left)", entry->values.http_req_cnt,
                 left(entry->expires));
  }
  if (held && !may_lack(instance)) {
    wrong(instance, "the agent has it (count {}, {} ms left) and it has not",
          number(id, DataType::kHttpReqCnt), left(table_->expires(id)));
  }
}

void Check::check_values(std::size_t instance, const StickTable::Entry& entry, ContributionId id) {
  const auto same = [&](DataType type, std::uint32_t expected) {
    if (number(id, type) == expected) return;
    wrong(instance, "{} is {} and the agent says {}", traits(type).name, expected, number(id, type));
  };
  same(DataType::kHttpReqCnt, entry.values.http_req_cnt);
  same(DataType::kConnCur, entry.values.conn_cur);
  same(DataType::kGpt0, entry.values.gpt0);

  // An age lacks the time on the way (peers-protocol 7.2).
  const Frequency& frequency = entry.values.http_req_rate;
  const double expected = frequency.exact(kPeriod, tick(now_));
  const double said = rate(id).exact(kPeriod, tick(now_));
  const double late = static_cast<double>((2 * cluster_.lag() + Duration(2)) / Duration(1)) /
                      static_cast<double>(kPeriod / Duration(1));
  if (std::abs(said - expected) > (frequency.current + frequency.previous) * late + 1) {
    wrong(instance, "http_req_rate is {:.1f} and the agent says {:.1f}", expected, said);
  }
  const Duration longer = table_->expires(id) - entry.expires;
  if (longer < Duration(-2) || longer > slack_) {
    wrong(instance, "has {} ms left and at the agent {}", left(entry.expires), left(table_->expires(id)));
  }
}

void Check::check_sums() {
  std::uint64_t requests = 0;
  std::uint64_t connections = 0;
  bool all_known = true;
  for (std::size_t instance = 0; instance < cluster_.size(); ++instance) {
    const ContributionId id = contribution(instance);
    if (id != kNone && table_->live(id, now_)) requests += number(id, DataType::kHttpReqCnt);
    // What an instance has dropped still counts; how many connections it had last is not known.
    const StickTable::Entry* entry = own(instance);
    if (entry != nullptr) connections += entry->values.conn_cur;
    all_known &= entry != nullptr || id == kNone;
  }
  if (total(DataType::kHttpReqCnt) != requests) {
    wrong(0, "the agent's total is {}, its contributions sum up to {}", total(DataType::kHttpReqCnt),
          requests);
  }
  if (all_known && total(DataType::kConnCur) != connections) {
    wrong(0, "the agent's conn_cur is {}, that of all instances {}", total(DataType::kConnCur), connections);
  }
}

void Check::check_total(std::size_t instance) {
  const StickTable::Entry* shown = cluster_.process(instance)->total().find(key_name(key_));
  const bool live = shown != nullptr && shown->expires > now_;
  if (live) check_total_life(instance, *shown);
  if (entry_ == kNone || table_->end(entry_) <= now_) return;
  if (!live) {
    const bool ending = left(table_->end(entry_)) <= expire_.count() / 10 + slack_.count();
    if (!ending) wrong(instance, "lacks the total, which is {}", total(DataType::kHttpReqCnt));
    return;
  }
  const auto same = [&](DataType type, std::uint32_t said) {
    if (total(type) != said)
      wrong(instance, "its total {} is {}, the agent's {}", traits(type).name, said, total(type));
  };
  same(DataType::kHttpReqCnt, shown->values.http_req_cnt);
  same(DataType::kGpt0, shown->values.gpt0);
  check_total_rate(instance, shown->values.http_req_rate);
}

void Check::check_total_life(std::size_t instance, const StickTable::Entry& shown) {
  // A total is sent again when its end has moved by a tenth of `expire`, and not at all when it has ended.
  const Duration moved = expire_ / 10;
  TimePoint latest{};
  for (std::size_t other = 0; other < cluster_.size(); ++other) {
    latest = std::max(latest, latest_end(other));
    // Without a lesson a push of long ago counts as new; an agent that dies then cannot correct it.
    if (entry_ == kNone) latest = std::max(latest, known(other).pushed + expire_ + slack_);
  }
  if (shown.expires > latest + moved) {
    wrong(instance, "its total outlives the last use by {} ms", (shown.expires - latest).count());
  }
  if (entry_ == kNone) return;
  const Duration longer = shown.expires - table_->end(entry_);
  if (std::chrono::abs(longer) > moved + slack_) {
    wrong(instance, "its total has {} ms left, the agent's {}", left(shown.expires),
          left(table_->end(entry_)));
  }
}

// The bound of DESIGN, "How tables are treated", for whatever the sum was in the time that a correction
// takes.
void Check::check_total_rate(std::size_t instance, const Frequency& shown) {
  constexpr Duration kCorrected{300};
  double least = std::numeric_limits<double>::max();
  double most = 0;
  double contributions = 0;
  const Duration late = cluster_.lag() + kCorrected;
  for (const TimePoint when : {now_ - late, now_ - late / 2, now_, now_ + kCorrected}) {
    double sum = 0;
    contributions = 0;
    for (ContributionId id = table_->first(entry_); id != kNone; id = table_->following(id)) {
      const Frequency frequency = rate(id);
      sum += frequency.exact(kPeriod, tick(when));
      if (frequency.current != 0 || frequency.previous != 0) ++contributions;
    }
    least = std::min(least, sum);
    most = std::max(most, sum);
  }
  const double read = shown.exact(kPeriod, tick(now_));
  if (read < 0.95 * least - contributions - 1 || read > 1.05 * most + contributions + 1) {
    wrong(instance, "its total http_req_rate is {:.1f}, the sum between {:.1f} and {:.1f}", read, least,
          most);
  }
}

}  // namespace

std::vector<std::string> check(Cluster& cluster, const Ledger& ledger) {
  return Check(cluster, ledger).run();
}

}  // namespace stickmesh::sim
