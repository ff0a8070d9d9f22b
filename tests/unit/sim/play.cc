#include "tests/unit/sim/play.h"

#include <fmt/format.h>

#include <algorithm>

#include "tests/unit/sim/check.h"
#include "tests/unit/sim/watch.h"

namespace stickmesh::sim {

namespace {

using Kind = Step::Kind;

// A name that three processes have used within 30 s is not admitted until they are over.
constexpr Duration kSettlesWithin{60'000};
// For what follows the last lesson: another lesson that the agent asks for, and totals.
constexpr Duration kQuiet{4000};
constexpr std::size_t kSpins = 100;

class Play {
 public:
  ~Play() { cluster_.on_note({}); }
  Play(const Schedule& schedule, std::vector<std::string>* trace)
      : schedule_(schedule),
        cluster_(schedule.setup, schedule.seed),
        ledger_(schedule.setup.instances),
        watch_(cluster_),
        trace_(trace) {
    cluster_.on_oddity([this](Cluster::Oddity oddity, std::size_t instance, const std::string& name) {
      note_oddity(oddity, instance, key_number(name));
    });
    if (trace_ == nullptr) return;
    cluster_.on_note([this](const std::string& line) { note(line); });
  }

  std::vector<std::string> run() {
    cluster_.advance(Duration(100));
    for (const Step& step : schedule_.steps) {
      if (trace_ != nullptr) note("-- " + describe(step));
      cluster_.reseed(step.noise);
      act(step);
      cluster_.advance(step.pause);
      watch_.look();
    }
    return settle();
  }

 private:
  void act(const Step& step);
  static std::size_t key_number(std::string_view name) {
    std::size_t key = 0;
    while (key_name(key) != name) ++key;
    return key;
  }
  void note_oddity(Cluster::Oddity oddity, std::size_t instance, std::size_t key);
  void count(Process* process, const Step& step);
  std::vector<std::string> settle();
  void note(const std::string& line) {
    trace_->push_back(fmt::format("{:7} {}", (cluster_.now() - start_).count(), line));
  }

  const Schedule& schedule_;
  Cluster cluster_;
  Ledger ledger_;
  Watch watch_;
  std::vector<std::string>* trace_;
  TimePoint start_ = cluster_.now();
};

void Play::note_oddity(Cluster::Oddity oddity, std::size_t instance, std::size_t number) {
  Ledger::Key& key = ledger_.keys[instance][number];
  switch (oddity) {
    case Cluster::Oddity::kEvicted:
      key.evicted = cluster_.now();
      watch_.forget(instance, number);
      return;
    case Cluster::Oddity::kPushedPastEnd:
      key.revived = cluster_.now();
      watch_.forget(instance, number);
      return;
    case Cluster::Oddity::kPushed:
      key.pushed = cluster_.now();
      return;
  }
}

void Play::count(Process* process, const Step& step) {
  if (process == nullptr) return;
  const std::string_view key = key_name(step.key);
  const TimePoint now = cluster_.now();
  switch (step.kind) {
    case Kind::kOpen:
      process->open(key, now);
      break;
    case Kind::kClose:
      process->close(key, now);
      break;
    case Kind::kTag:
      process->tag(key, step.amount, now);
      break;
    default:
      process->request(key, step.amount, now);
      break;
  }
  const StickTable::Entry* entry = process->input().find(key);
  if (entry != nullptr && entry->expires == now + schedule_.setup.expire) {
    ledger_.keys[step.instance][step.key] = {now, process->pid(), {}, {}, {}};
  }
}

void Play::act(const Step& step) {
  switch (step.kind) {
    case Kind::kRequest:
    case Kind::kOpen:
    case Kind::kClose:
    case Kind::kTag:
      return count(cluster_.process(step.instance), step);
    case Kind::kOldRequest:
      return count(cluster_.old_process(step.instance), step);
    case Kind::kPass:
      return cluster_.advance(Duration(step.amount));
    case Kind::kCut:
      return cluster_.cut(step.instance, static_cast<Cut>(step.amount));
    case Kind::kBlock:
      return cluster_.block(step.instance, Duration(step.amount));
    case Kind::kStall:
      return cluster_.stall(step.instance, Duration(step.amount));
    case Kind::kReload:
      return cluster_.reload(step.instance);
    case Kind::kKill:
      return cluster_.kill(step.instance, Duration(step.amount));
    case Kind::kKillOld:
      return cluster_.kill_old(step.instance);
    case Kind::kRestartAgent:
      return cluster_.restart_agent(Duration(step.amount));
  }
}

std::vector<std::string> Play::settle() {
  if (trace_ != nullptr) note("-- quiet");
  cluster_.heal();
  const TimePoint latest = cluster_.now() + kSettlesWithin;
  for (TimePoint unsettled = cluster_.now(); cluster_.now() - unsettled < kQuiet;) {
    cluster_.advance(Duration(500));
    watch_.look();
    if (!cluster_.settled()) unsettled = cluster_.now();
    if (unsettled > latest) return {"the cluster does not settle"};
  }
  if (trace_ != nullptr) note("-- the end");
  std::vector<std::string> problems = check(cluster_, ledger_);
  if (!problems.empty()) {
    // Something may have ended a moment ago, and not everybody been told yet.
    cluster_.advance(Duration(1000));
    problems = check(cluster_, ledger_);
  }
  problems.insert(problems.end(), watch_.problems().begin(), watch_.problems().end());
  if (cluster_.most_spins() > kSpins) problems.push_back("the agent asks to be run without a break");
  return problems;
}

}  // namespace

std::vector<std::string> play(const Schedule& schedule, std::vector<std::string>* trace) {
  return Play(schedule, trace).run();
}

Schedule shrink(Schedule schedule) {
  for (std::size_t size = std::max<std::size_t>(schedule.steps.size() / 2, 1); size > 0; size /= 2) {
    for (std::size_t at = 0; at < schedule.steps.size();) {
      Schedule without = schedule;
      const auto first = without.steps.begin() + static_cast<std::ptrdiff_t>(at);
      without.steps.erase(first,
                          first + static_cast<std::ptrdiff_t>(std::min(size, without.steps.size() - at)));
      if (play(without).empty()) {
        at += size;
      } else {
        schedule = std::move(without);
      }
    }
  }
  return schedule;
}

}  // namespace stickmesh::sim
