#include "tests/unit/sim/cluster.h"

#include <fmt/format.h>

#include <algorithm>

namespace stickmesh::sim {

namespace {

constexpr TimePoint kStart{Duration(1'000'000)};

bool due(std::optional<TimePoint> when, TimePoint now) {
  return when && *when <= now;
}

}  // namespace

Cluster::Cluster(const Setup& setup, std::uint64_t seed) : setup_(setup), random_(seed), now_(kStart) {
  instances_.resize(setup.instances);
  for (std::size_t index = 0; index < setup.instances; ++index) {
    Section& section = instances_[index].section;
    section.name = "lb" + std::to_string(index + 1);
    section.agent = kAgentName;
    section.input = definition_of("/http", setup.expire);
    section.total = definition_of("/http.total", setup.expire);
    section.input_size = setup.input_size;
    section.buffer = setup.buffer;
    names_.push_back(section.name);
  }
  agent_ = std::make_unique<Agent>(names_, next_pid_++);
}

Cluster::~Cluster() {
  for (Connection& connection : connections_) {
    if (connection.agent) close_agent_end(connection, kCutError);
  }
}

void Cluster::advance(Duration time) {
  const TimePoint until = now_ + time;
  while (true) {
    while (work()) {
    }
    const TimePoint next = next_event();
    if (next > until) break;
    now_ = std::max(now_, next);
  }
  now_ = until;
}

bool Cluster::work() {
  bool any = false;
  if (!agent_ && agent_start_ <= now_) {
    agent_ = std::make_unique<Agent>(names_, next_pid_++);
    any = true;
  }
  for (std::size_t index = 0; index < instances_.size(); ++index) any |= work(index, instances_[index]);
  for (auto at = connections_.begin(); at != connections_.end();) {
    any |= work(*at);
    at = !at->agent && at->process == nullptr ? connections_.erase(at) : std::next(at);
  }
  if (agent_ && (agent_touched_ || due(agent_due_, now_))) {
    agent_touched_ = false;
    agent_due_ = agent_->run(now_);
    any = true;
    // A loop that is asked to come back at once does so; for ever, it would burn a processor.
    spins_ = due(agent_due_, now_) ? spins_ + 1 : 0;
    if (spins_ != 0) agent_due_ = now_ + Duration(1);
    most_spins_ = std::max(most_spins_, spins_);
  }
  return any;
}

bool Cluster::work(std::size_t index, Instance& instance) {
  if (!instance.process) {
    if (instance.start > now_) return false;
    start(index, Process::Start::kCold);
  }
  bool any = false;
  if (instance.lesson && instance.lesson_step <= now_) {
    instance.lesson_step = now_ + Duration(random_.between(0, 300));
    const bool over = instance.lesson->teach(random_.between(1, 4), now_);
    report_oddities(index, *instance.old);
    if (over) end_reload(instance);
    any = instance.touched = true;
  }
  if (instance.touched || due(instance.process->next_run(), now_)) {
    instance.touched = false;
    instance.process->run(now_);
    report_oddities(index, *instance.process);
    any = true;
  }
  if (instance.process->session() == nullptr && std::max(instance.redial, instance.blocked) <= now_) {
    dial(index, instance);
    any = true;
  }
  return any;
}

Process& Cluster::start(std::size_t index, Process::Start how) {
  Instance& instance = instances_[index];
  instance.touched = true;
  instance.process = std::make_unique<Process>(instance.section, next_pid_++, how, now_);
  if (!note_) return *instance.process;
  const std::string name = fmt::format("{} process {}", names_[index], instance.process->pid());
  note_(name + " starts");
  instance.process->on_note([this, name](const std::string& what) { note_(name + " " + what); });
  return *instance.process;
}

void Cluster::dial(std::size_t index, Instance& instance) {
  instance.redial = now_ + Duration(random_.between(3000, 5000));
  if (!agent_) return;
  instance.process->dial(now_);
  connections_.push_back({index, agent_->accept(now_), instance.process.get(), {}, {}, {}});
}

bool Cluster::work(Connection& connection) {
  bool any = deliver_up(connection);
  any |= deliver_down(connection);
  any |= connection.alarm <= now_ && ring(connection);
  if (connection.agent && connection.agent->close_reason()) {
    const Error why = *connection.agent->close_reason();
    close_agent_end(connection, why);
    any = true;
  }
  any |= flush(connection);
  if (!any) return false;
  connection.alarm = TimePoint::max();
  const auto at_latest = [&](const Session& session) {
    if (const auto when = session.deadline(); when && *when < connection.alarm) connection.alarm = *when;
  };
  if (connection.agent) at_latest(*connection.agent);
  if (connection.process != nullptr) at_latest(*connection.process->session());
  return true;
}

bool Cluster::ring(Connection& connection) {
  if (connection.agent && due(connection.agent->deadline(), now_)) {
    if (auto alive = connection.agent->expire(now_); !alive) close_agent_end(connection, alive.error());
    agent_touched_ = true;
  }
  if (connection.process != nullptr && due(connection.process->session()->deadline(), now_)) {
    if (!connection.process->session()->expire(now_)) close_instance_end(connection, /*tell=*/true);
  }
  return true;
}

bool Cluster::deliver_up(Connection& connection) {
  if (!due(connection.up.due(), now_)) return false;
  if (connection.agent && !connection.agent->wants_input()) return false;
  const Bytes piece = connection.up.take(now_, setup_.weather, random_);
  lag_ = std::max(lag_, connection.up.lag());
  const bool end = piece.empty();
  if (end) connection.up = Pipe();
  if (!connection.agent) return true;
  agent_touched_ = true;
  if (end) {
    close_agent_end(connection, {Reason::kConnectionLost, "the instance closed it"});
  } else if (auto taken = connection.agent->receive(piece, now_); !taken) {
    close_agent_end(connection, taken.error());
  }
  return true;
}

bool Cluster::deliver_down(Connection& connection) {
  if (!due(connection.down.due(), now_)) return false;
  const Bytes piece = connection.down.take(now_, setup_.weather, random_);
  lag_ = std::max(lag_, connection.down.lag());
  const bool end = piece.empty();
  if (end) connection.down = Pipe();
  if (connection.process == nullptr) return true;
  if (end || !connection.process->session()->receive(piece, now_)) {
    close_instance_end(connection, /*tell=*/true);
  }
  instances_[connection.instance].touched = true;
  return true;
}

bool Cluster::flush(Connection& connection) {
  const auto move = [&](Session& from, Pipe& pipe) {
    const Bytes pending = from.pending();
    const std::size_t size = std::min(pending.size(), pipe.room(setup_.weather));
    if (size == 0) return false;
    pipe.write(pending.first(size), now_, setup_.weather, random_);
    from.sent(size, now_);
    return true;
  };
  const bool down = connection.agent && move(*connection.agent, connection.down);
  const bool up = connection.process != nullptr && move(*connection.process->session(), connection.up);
  agent_touched_ |= down;
  instances_[connection.instance].touched |= up;
  return down || up;
}

void Cluster::close_agent_end(Connection& connection, const Error& why) {
  if (const Bytes rest = connection.agent->pending(); !rest.empty()) {
    connection.down.write(rest, now_, setup_.weather, random_);
  }
  connection.agent->closed(why, now_);
  connection.agent.reset();
  connection.down.finish(now_, setup_.weather, random_);
  agent_touched_ = true;
  if (note_) note_(fmt::format("the agent closes {}: {}", names_[connection.instance], to_string(why)));
}

void Cluster::close_instance_end(Connection& connection, bool tell) {
  Process& process = *std::exchange(connection.process, nullptr);
  process.connection_lost(now_);
  if (tell) connection.up.finish(now_, setup_.weather, random_);
  Instance& instance = instances_[connection.instance];
  if (&process == instance.process.get()) instance.redial = now_ + Duration(random_.between(50, 5000));
}

Cluster::Connection* Cluster::connection_of(const Process* process) {
  const auto found = std::find_if(connections_.begin(), connections_.end(),
                                  [&](const Connection& at) { return at.process == process; });
  return process == nullptr || found == connections_.end() ? nullptr : &*found;
}

void Cluster::report_oddities(std::size_t index, Process& process) {
  if (!oddity_) return;
  if (process.input().has_evicted()) {
    for (const std::string& key : process.input().take_evicted()) oddity_(Oddity::kEvicted, index, key);
  }
  if (process.has_pushed()) {
    for (const auto& [key, past_end] : process.take_pushed()) {
      oddity_(past_end ? Oddity::kPushedPastEnd : Oddity::kPushed, index, key);
    }
  }
}

void Cluster::end_reload(Instance& instance) {
  instance.lesson.reset();
  instance.old.reset();
}

TimePoint Cluster::next_event() const {
  TimePoint next = TimePoint::max();
  const auto at_latest = [&](std::optional<TimePoint> when) {
    if (when && *when < next) next = *when;
  };
  for (const Connection& connection : connections_) {
    if (!connection.agent || connection.agent->wants_input()) at_latest(connection.up.due());
    at_latest(connection.down.due());
    at_latest(connection.alarm);
  }
  for (const Instance& instance : instances_) {
    if (!instance.process) {
      at_latest(instance.start);
      continue;
    }
    at_latest(instance.process->next_run());
    if (instance.lesson) at_latest(instance.lesson_step);
    if (instance.process->session() == nullptr) at_latest(std::max(instance.redial, instance.blocked));
  }
  if (agent_) {
    at_latest(agent_due_);
  } else {
    at_latest(agent_start_);
  }
  return std::max(next, now_ + Duration(1));
}

}  // namespace stickmesh::sim
