#include "tests/bench/load/run.h"

#include <unistd.h>

#include <utility>

#include "tests/bench/load/process_usage.h"

namespace stickmesh::bench {

using std::chrono::steady_clock;

Measurement::Measurement(net::Loop& loop, const Target& target)
    : loop_(loop), target_(target), settled_(loop, [this] {
        server_cpu_ = cpu_time(target_.pid) - server_cpu_;
        own_cpu_ = cpu_time(::getpid()) - own_cpu_;
        memory_after_ = resident_memory(target_.pid);
        then_();
      }) {}

void Measurement::start() {
  memory_before_ = resident_memory(target_.pid);
  server_cpu_ = cpu_time(target_.pid);
  own_cpu_ = cpu_time(::getpid());
  started_ = steady_clock::now();
}

void Measurement::stop(std::function<void()> then) {
  wall_ = steady_clock::now() - started_;
  then_ = std::move(then);
  loop_.refresh();
  settled_.set(loop_.now() + target_.settle);
}

std::string Measurement::report(std::uint64_t updates) const {
  const double cpu = static_cast<double>(server_cpu_) * 1e-9;
  return fmt::format(
      R"({{"updates": {}, "wall_seconds": {:.6f}, "server_cpu_seconds": {:.6f}, "us_per_update": {:.4f}, )"
      R"("load_cpu_seconds": {:.6f}, "memory_before": {}, "memory_after": {}}})",
      updates, wall_.count(), cpu, updates == 0 ? 0 : cpu * 1e6 / static_cast<double>(updates),
      static_cast<double>(own_cpu_) * 1e-9, memory_before_, memory_after_);
}

Run::Run(Target target) : target_(std::move(target)), timeout_(loop_, [this] { fail("not done in time"); }) {
  for (const std::string& name : target_.names) {
    peers_.emplace_back(loop_, LoadPeerSetup{target_.server, target_.server_name, name, target_.tables});
    peers_.back().on_failure = [this, name](const std::string& why) { fail(name + ": " + why); };
  }
}

Result<std::string> Run::perform() {
  prepare();
  loop_.refresh();
  timeout_.set(loop_.now() + target_.timeout);
  for (LoadPeer& peer : peers_) peer.start();
  while (!done_ && failure_.empty()) loop_.run_once();
  if (!failure_.empty()) return refuse(Reason::kConnectionLost, failure_);
  return report();
}

void Run::done() {
  done_ = true;
}

void Run::fail(const std::string& why) {
  if (failure_.empty()) failure_ = why;
}

}  // namespace stickmesh::bench
