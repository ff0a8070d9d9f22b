#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/base/result.h"
#include "agent/hooks/event.h"
#include "agent/hooks/host.h"
#include "agent/lua/state.h"
#include "spoe/events/table_view.h"

namespace stickmesh::hooks {

/// A function of a script, by its place in the state's registry.
using Function = int;

/// One hook file, loaded: its state, and the functions that it has registered. A reload makes another one.
class Script {
 public:
  struct Limits {
    lua::Watchdog::Limit call_time;
    std::size_t memory;
  };
  /// The functions that run when a table's entry has changed.
  struct Update {
    std::string table;
    Function function;
  };
  struct Threshold {
    std::string table;
    std::string type;
    lua_Integer above;
    Function function;
  };
  struct Timer {
    Duration interval;
    Function function;
  };
  using Metrics = std::map<std::string, std::int64_t, std::less<>>;

  /// Reads, compiles and runs |file|, for |load_time| at most. An error says "FILE:LINE: reason". |host| and
  /// |metrics| must outlive the script.
  static Result<std::unique_ptr<Script>> load(const std::string& file, const Limits& limits,
                                              lua::Watchdog::Limit load_time, Host& host, Metrics& metrics);

  /// What handles messages of that name, or else of the kind, which is the part before the first '-'.
  const Function* on_message(std::string_view message) const;
  /// |function| handles |message|; what it sets is in `event`, also when it has failed.
  lua::Outcome handle(Function function, std::string_view message, std::string_view prefix,
                      std::span<const spoe::Argument> arguments);
  const Event& event() const { return event_; }

  const std::vector<Update>& updates() const { return updates_; }
  const std::vector<Threshold>& thresholds() const { return thresholds_; }
  const std::vector<Function>& on_peer() const { return on_peer_; }
  const std::vector<Timer>& timers() const { return timers_; }
  /// |function| is told of an entry of |view|: its key as text, and its totals.
  lua::Outcome tell_entry(Function function, spoe::TableView& view, store::EntryId entry);
  /// |function| is told that the peer |name| is there, or not any more.
  lua::Outcome tell_peer(Function function, const std::string& name, bool up);
  lua::Outcome tick(Function function);

  std::size_t memory() const { return state_.memory(); }
  std::size_t memory_limit() const { return state_.memory_limit(); }

 private:
  struct Api;

  Script(const Limits& limits, Host& host, Metrics& metrics)
      : limits_(limits), host_(host), metrics_(metrics), state_(limits.memory, host.watchdog) {}

  template <typename Do>
  lua::Outcome call(const Do& work);

  const Limits limits_;
  Host& host_;
  Metrics& metrics_;
  bool loading_ = true;
  std::unordered_map<std::string, Function, spoe::TextHash, std::equal_to<>> messages_;
  std::vector<Update> updates_;
  std::vector<Threshold> thresholds_;
  std::vector<Function> on_peer_;
  std::vector<Timer> timers_;
  Event event_;
  Function event_object_ = 0;
  Function answer_object_ = 0;
  lua::State state_;
};

}  // namespace stickmesh::hooks
