#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/peers/session/session.h"
#include "agent/peers/wire/entry_update.h"

namespace stickmesh::mesh {

/// An instance with sessions to several agents, as they see it: it counts into "http", pushes to all of them,
/// asks one of them for a lesson when it starts with nothing, and keeps the totals that it is sent.
class Origin {
 public:
  struct Entry {
    std::uint32_t count = 0;
    std::uint32_t id = 0;
    bool given = false;  ///< what an agent told, not its own last word
  };

  Origin(std::string name, std::uint64_t pid, TimePoint now);
  ~Origin();

  const std::string& name() const { return name_; }
  std::uint64_t pid() const { return pid_; }
  const std::map<std::string, Entry>& own() const { return own_; }
  const std::map<std::string, std::uint32_t>& totals() const { return totals_; }
  /// What is in its status table: until when (in Unix seconds), with how many of how many origins.
  struct Mark {
    std::uint32_t until = 0;
    std::uint32_t present = 0;
    std::uint32_t expected = 0;
    TimePoint came{};
  };
  const Mark& mark() const { return mark_; }
  bool resynced() const { return resynced_; }

  void count(const std::string& key, std::uint32_t times);
  /// The protocol side of a connection to |agent|, which it makes now.
  Session& dial(const std::string& agent, TimePoint now);
  Session* session(const std::string& agent);
  void lost(const std::string& agent, TimePoint now);
  void run(TimePoint now);

 private:
  class Line;
  std::uint32_t next_id() { return ++update_ == 0 ? ++update_ : update_; }
  void learn(const TableDefinition& table, const peers::Update& update, TimePoint now);

  std::string name_;
  std::uint64_t pid_;
  std::map<std::string, Entry> own_;
  std::map<std::string, std::uint32_t> totals_;
  Mark mark_;
  std::uint32_t update_ = 0;
  std::map<std::string, std::unique_ptr<Line>> lines_;
  Line* teacher_ = nullptr;
  bool resynced_ = false;
  TimePoint gives_up_;  ///< asking for a lesson
};

}  // namespace stickmesh::mesh
