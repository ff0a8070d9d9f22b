#pragma once

#include <fmt/format.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/peers/session/session.h"
#include "tests/unit/peers/hex.h"

namespace stickmesh::peers {

/// Writes down what a session tells it, one line a call, and copies what it would only see for a moment.
class RecordingHandler : public Handler {
 public:
  struct Entry {
    std::uint32_t handle;
    std::uint32_t id;
    bool lesson;
    std::optional<Duration> remaining;
    std::string key;
    std::vector<std::uint64_t> cells;
    std::string server_key;

    bool operator==(const Entry&) const = default;
  };

  std::vector<std::string> calls;
  std::vector<Entry> entries;
  std::vector<TableDefinition> tables;  ///< the index is the handle

  std::optional<Error> refusal;      ///< answer to `admit`
  std::vector<std::string> ignored;  ///< names of tables to skip
  std::function<void()> on_admit, on_established, on_table, on_update, on_lesson_requested, on_lesson_ended,
      on_writable;

  Result<void> admit(const Hello& hello, TimePoint) override {
    calls.push_back(fmt::format("admit {}>{} pid {} 2.{}", hello.from, hello.to, hello.pid, hello.minor));
    run(on_admit);
    if (refusal) return tl::unexpected(*refusal);
    return {};
  }
  void established(TimePoint) override {
    calls.emplace_back("established");
    run(on_established);
  }
  std::optional<std::uint32_t> table_defined(const TableDefinition& definition, TimePoint) override {
    calls.push_back("table " + definition.name);
    run(on_table);
    for (const std::string& name : ignored) {
      if (name == definition.name) return std::nullopt;
    }
    tables.push_back(definition);
    return static_cast<std::uint32_t>(tables.size() - 1);
  }
  void updated(std::uint32_t handle, const Update& update, TimePoint) override {
    calls.push_back(fmt::format("{} {}", update.lesson ? "lesson" : "live", update.update_id));
    entries.push_back({handle,
                       update.update_id,
                       update.lesson,
                       update.timed ? std::optional(update.remaining) : std::nullopt,
                       std::string(as_text(update.key)),
                       {update.cells.begin(), update.cells.end()},
                       std::string(update.server_key)});
    run(on_update);
  }
  void lesson_requested(TimePoint) override {
    calls.emplace_back("lesson requested");
    run(on_lesson_requested);
  }
  void lesson_ended(bool complete, TimePoint) override {
    calls.emplace_back(complete ? "lesson ended" : "lesson partial");
    run(on_lesson_ended);
  }
  void lesson_confirmed(TimePoint) override { calls.emplace_back("lesson confirmed"); }
  void acknowledged(TableId table, std::uint32_t id, TimePoint) override {
    calls.push_back(fmt::format("acked {}:{}", table, id));
  }
  void writable(TimePoint) override { run(on_writable); }

  std::vector<std::string> take_calls() { return std::exchange(calls, {}); }

 private:
  static void run(const std::function<void()>& action) {
    if (action) action();
  }
};

}  // namespace stickmesh::peers
