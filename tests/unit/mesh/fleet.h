#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/error_log.h"
#include "agent/pipeline/hub.h"
#include "agent/pipeline/peer_link.h"
#include "agent/pipeline/succession.h"
#include "tests/unit/mesh/origin.h"
#include "tests/unit/sim/pipe.h"

namespace stickmesh::mesh {

/// One life of an agent of a fleet, without sockets.
struct Agent {
  Agent(const pipeline::HubSetup& setup)
      : rules({{pipeline::Pattern("*"), pipeline::Pattern("*.total")}}, {"stickmesh", "limits"},
              {pipeline::Pattern("sticky")}),
        registry(rules, std::size_t{1} << 28U, 64, 42),
        hub(setup, registry, errors) {}

  pipeline::Peer& peer(std::string_view name);
  /// What it holds of what |origin| has counted of |key|.
  std::optional<std::uint32_t> contribution(const std::string& origin, const std::string& key);
  std::uint64_t total(const std::string& key, TimePoint now);
  /// It counts |key| itself, so many times more. False while it knows no table.
  bool count(const std::string& key, std::uint64_t times, TimePoint now);
  /// What it holds of |key|, and of which generation each origin is, in words.
  std::string describe(const std::string& key);

  ErrorLog errors;
  pipeline::Rules rules;
  pipeline::Registry registry;
  pipeline::Hub hub;
  std::map<std::string, std::uint64_t> own;  ///< what it has counted itself
};

/// Agents a, b, c ... and instances lb1, lb2 ..., joined by connections in memory, on a clock that moves only
/// here. An instance is connected to the agents that `homes` names.
class Fleet {
 public:
  Fleet(std::size_t agents, std::vector<std::vector<std::size_t>> homes, std::uint64_t seed = 1);
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  TimePoint now() const { return now_; }
  void advance(Duration time);
  /// Until |true_now|, or a minute has passed. Whether it came true.
  bool wait_for(const std::function<bool()>& true_now);

  Agent* agent(std::size_t index) { return agents_[index].life.get(); }
  Origin* origin(std::size_t index) { return origins_[index].process.get(); }
  std::size_t agents() const { return agents_.size(); }
  std::size_t origins() const { return origins_.size(); }
  std::string agent_name(std::size_t index) const { return std::string(1, static_cast<char>('a' + index)); }

  void kill_agent(std::size_t index, Duration downtime);
  /// A new process learns from the old one for so long, or longer, and takes its place.
  void soft_restart(std::size_t index, Duration time);
  /// It neither reads nor works for so long.
  void pause_agent(std::size_t index, Duration time) { agents_[index].paused = now_ + time; }
  /// A new process that knows nothing, after |downtime|.
  void kill_origin(std::size_t index, Duration downtime);
  /// No connection between the two agents, for so long; |silent|: neither hears of it.
  void cut_agents(std::size_t one, std::size_t other, Duration time, bool silent = false);
  void cut_origin(std::size_t origin, std::size_t agent, Duration time);
  /// Ends all faults.
  void heal();

  /// What is wrong when all should agree: with each other, with what the instances themselves have, and each
  /// instance's totals with both.
  std::vector<std::string> disagreements();
  sim::Random& random() { return random_; }

 private:
  /// The next life of an agent, while the present one teaches it.
  struct Succession {
    Succession(Agent& before, const pipeline::HubSetup& setup, TimePoint now);
    void hand_on_state(Agent& before, TimePoint now);

    std::unique_ptr<Agent> next;
    bool learned = false;
    pipeline::TeachingLink teaching;
    pipeline::LearningLink learning;
    sim::Pipe lesson, answers;
    TimePoint until{};
  };
  struct AgentSlot {
    std::unique_ptr<Agent> life;
    std::unique_ptr<Succession> succession;
    TimePoint start{};
    TimePoint due{};
    TimePoint paused{};
  };
  struct OriginSlot {
    std::string name;
    std::vector<std::size_t> homes;
    std::unique_ptr<Origin> process;
    TimePoint start{};
  };
  /// Ends are sessions that somebody else owns, or that the connection does.
  struct Connection {
    std::size_t agent = 0;  ///< the accepting one
    std::optional<std::size_t> dialling_agent;
    std::optional<std::size_t> origin;
    std::unique_ptr<Session> accepting;
    std::unique_ptr<Session> dialling;  ///< of an agent
    bool dialler_open = true;
    TimePoint silent{};  ///< nothing arrives before
    sim::Pipe up, down;
  };

  bool work();
  bool start_what_is_due();
  bool dial_what_is_not_connected();
  bool work(Connection& connection);
  /// Teaches, and once it is time, switches. True when anything moved.
  bool work(std::size_t agent, Succession& succession);
  void switch_over(std::size_t agent, Succession& succession);
  bool carry(Session* from, sim::Pipe& pipe);
  bool deliver(sim::Pipe& pipe, Connection& connection, bool to_accepting);
  Session* dialler(Connection& connection);
  void close_accepting(Connection& connection, const Error& why);
  void close_dialling(Connection& connection, const Error& why);
  void drop(const std::function<bool(const Connection&)>& which);
  bool paused(std::size_t agent) const { return agents_[agent].paused > now_; }
  pipeline::HubSetup setup_of(std::size_t agent);

  TimePoint now_{Duration(1'000'000)};
  sim::Random random_;
  sim::Weather weather_;
  std::vector<AgentSlot> agents_;
  std::vector<OriginSlot> origins_;
  std::list<Connection> connections_;
  std::map<std::pair<std::string, std::string>, TimePoint> blocked_;  ///< until when two cannot connect
  std::uint64_t next_pid_ = 100;
};

}  // namespace stickmesh::mesh
