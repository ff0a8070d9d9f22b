#include <algorithm>

#include "tests/unit/sim/cluster.h"

// What a schedule does to the cluster.

namespace stickmesh::sim {

namespace {}  // namespace

void Cluster::cut(std::size_t index, Cut kind) {
  Connection* connection = connection_of(instances_[index].process.get());
  if (connection == nullptr) return;
  connection->up = connection->down = Pipe();
  if (kind != Cut::kInstanceUnaware) close_instance_end(*connection, /*tell=*/false);
  if (kind != Cut::kAgentUnaware && connection->agent) {
    close_agent_end(*connection, kCutError);
    connection->down = Pipe();
  }
}

void Cluster::block(std::size_t index, Duration time) {
  cut(index, Cut::kBothKnow);
  instances_[index].blocked = now_ + time;
}

void Cluster::stall(std::size_t index, Duration time) {
  if (Connection* connection = connection_of(instances_[index].process.get())) {
    connection->up.stall(now_ + time);
    connection->down.stall(now_ + time);
  }
}

void Cluster::reload(std::size_t index) {
  Instance& instance = instances_[index];
  if (!instance.process || instance.old) return;
  if (Connection* connection = connection_of(instance.process.get())) {
    close_instance_end(*connection, /*tell=*/true);
  }
  instance.old = std::move(instance.process);
  Process& fresh = start(index, Process::Start::kBesideOld);
  instance.redial = now_ + Duration(random_.between(0, 5));
  // A process that is not up to date itself leaves the new one alone.
  if (instance.old->resync() != Process::Resync::kFinished) return instance.old.reset();
  instance.lesson.emplace(*instance.old, fresh);
  instance.lesson_step = now_ + Duration(random_.between(0, random_.one_in(3) ? 3000 : 300));
}

void Cluster::kill(std::size_t index, Duration downtime) {
  Instance& instance = instances_[index];
  if (!instance.process) return;
  if (Connection* connection = connection_of(instance.process.get())) {
    close_instance_end(*connection, /*tell=*/true);
  }
  end_reload(instance);
  instance.process.reset();
  instance.start = instance.redial = now_ + downtime;
}

void Cluster::kill_old(std::size_t index) {
  Instance& instance = instances_[index];
  if (!instance.lesson) return;
  instance.lesson->abandon(now_);
  instance.touched = true;
  end_reload(instance);
}

void Cluster::restart_agent(Duration downtime) {
  if (!agent_) return;
  for (Connection& connection : connections_) {
    if (connection.agent) close_agent_end(connection, kCutError);
  }
  agent_.reset();
  agent_due_.reset();
  agent_touched_ = false;
  agent_start_ = now_ + downtime;
}

void Cluster::heal() {
  setup_.weather.high = std::min(setup_.weather.high, 10U);
  setup_.weather.fragments = false;
  agent_start_ = std::min(agent_start_, now_);
  for (Instance& instance : instances_) {
    instance.start = std::min(instance.start, now_);
    instance.blocked = std::min(instance.blocked, now_);
    instance.redial = std::min(instance.redial, now_ + Duration(100));
  }
}

bool Cluster::settled() {
  // A hello that is still under way replaces the session of a younger process.
  return agent_ != nullptr && connections_.size() == instances_.size() &&
         std::all_of(instances_.begin(), instances_.end(), [&](const Instance& instance) {
           return instance.process && !instance.old && instance.process->settled() &&
                  agent_->synchronised(instance.section.name);
         });
}

}  // namespace stickmesh::sim
