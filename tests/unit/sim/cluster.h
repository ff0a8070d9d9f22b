#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/sim/agent.h"
#include "tests/unit/sim/local_lesson.h"
#include "tests/unit/sim/pipe.h"
#include "tests/unit/sim/process.h"

namespace stickmesh::sim {

/// How every connection ends that is not closed in order.
inline const Error kCutError{Reason::kConnectionLost, "cut by the schedule"};

/// Which end of a cut connection hears of it.
enum class Cut : std::uint8_t { kBothKnow, kAgentUnaware, kInstanceUnaware };

/// Instances and their agent, joined by connections in memory, on a clock that moves only here.
class Cluster {
 public:
  struct Setup {
    std::size_t instances = 2;
    Duration expire{60000};
    std::size_t input_size = 1000;
    std::size_t buffer = 16384;  ///< of an instance's output
    Weather weather;
  };

  Cluster(const Setup& setup, std::uint64_t seed);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  TimePoint now() const { return now_; }
  const Setup& setup() const { return setup_; }
  /// From here on the network's whims are those of |seed|.
  void reseed(std::uint64_t seed) { random_ = Random(seed); }
  void advance(Duration time);

  /// Faults.
  void cut(std::size_t instance, Cut kind);
  /// Connections to it cannot be made for so long.
  void block(std::size_t instance, Duration time);
  /// What is under way takes that much longer.
  void stall(std::size_t instance, Duration time);
  /// Not while an earlier reload is going on.
  void reload(std::size_t instance);
  void kill(std::size_t instance, Duration downtime);
  /// The old process of a reload, before it has taught the new one all.
  void kill_old(std::size_t instance);
  void restart_agent(Duration downtime);
  /// The end of all faults: whatever is away comes back at once.
  void heal();

  /// Null while it is away.
  Process* process(std::size_t instance) {
    instances_[instance].touched = true;
    return instances_[instance].process.get();
  }
  /// The one that a reload has replaced, while it teaches.
  Process* old_process(std::size_t instance) { return instances_[instance].old.get(); }
  const std::string& name(std::size_t instance) const { return instances_[instance].section.name; }
  std::size_t size() const { return instances_.size(); }
  Agent* agent() { return agent_.get(); }
  /// All are up, and have told each other all they have to say.
  bool settled();

  /// What an instance does to an entry of its input that others cannot know, see `StickTable` and `Process`.
  enum class Oddity : std::uint8_t { kEvicted, kPushed, kPushedPastEnd };
  void on_oddity(std::function<void(Oddity, std::size_t instance, const std::string& key)> oddity) {
    oddity_ = std::move(oddity);
  }

  /// The longest that anything has been under way, or more.
  Duration lag() const { return lag_; }
  /// How often the agent has asked to be run again at once, without a break.
  std::size_t most_spins() const { return most_spins_; }

  /// Called with a line for each thing of note.
  void on_note(std::function<void(const std::string&)> note) { note_ = std::move(note); }

 private:
  struct Instance {
    Section section;
    std::unique_ptr<Process> process;
    std::unique_ptr<Process> old;
    std::optional<LocalLesson> lesson;
    bool touched = true;  ///< something has happened to the process
    TimePoint lesson_step{};
    TimePoint start{};    ///< of the next process, while there is none
    TimePoint redial{};   ///< not before
    TimePoint blocked{};  ///< until
  };
  struct Connection {
    std::size_t instance;
    std::unique_ptr<Session> agent;  ///< null when its end is closed
    Process* process;                ///< likewise
    Pipe up, down;
    TimePoint alarm{};  ///< when a session of either end wants to be called
  };

  /// Does what is due now; false when there was nothing.
  bool work();
  bool work(Connection& connection);
  bool deliver_up(Connection& connection);
  bool deliver_down(Connection& connection);
  bool flush(Connection& connection);
  bool ring(Connection& connection);
  bool work(std::size_t index, Instance& instance);
  void close_agent_end(Connection& connection, const Error& why);
  void close_instance_end(Connection& connection, bool tell);
  Process& start(std::size_t index, Process::Start how);
  void dial(std::size_t index, Instance& instance);
  TimePoint next_event() const;
  Connection* connection_of(const Process* process);
  void report_oddities(std::size_t index, Process& process);
  void end_reload(Instance& instance);

  Setup setup_;
  Random random_;
  TimePoint now_;
  std::vector<Instance> instances_;
  std::vector<std::string> names_;
  std::list<Connection> connections_;
  std::unique_ptr<Agent> agent_;
  TimePoint agent_start_{};
  std::optional<TimePoint> agent_due_;
  bool agent_touched_ = false;
  std::uint64_t next_pid_ = 100;
  Duration lag_{0};
  std::size_t spins_ = 0;
  std::size_t most_spins_ = 0;
  std::function<void(const std::string&)> note_;
  std::function<void(Oddity, std::size_t, const std::string&)> oddity_;
};

}  // namespace stickmesh::sim
