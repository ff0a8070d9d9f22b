#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/recent_times.h"
#include "agent/hooks/breaker.h"
#include "agent/hooks/script.h"
#include "agent/pipeline/rules.h"
#include "spoe/events/uses.h"
#include "spoe/session/handler.h"

namespace stickmesh::hooks {

/// What a message is answered whose function did not return.
enum class OnError : std::uint8_t { kDefault, kAllow, kDeny };

/// A `[[hook]]` of the config.
struct HookSetup {
  std::string file;
  std::vector<pipeline::Pattern> frontends;
  Script::Limits limits{};
  OnError on_error = OnError::kDefault;
};

/// A hook with everything that outlives a reload of its script.
class Hook {
 public:
  Hook(HookSetup setup, Host& host) : setup_(std::move(setup)), host_(host) {}

  /// Puts the file as it is now in place of what was loaded before. On an error that stays.
  Result<void> load();

  /// The function for messages of that name with these arguments; null when they are not for this hook.
  const Function* function_for(std::string_view message, std::span<const spoe::Argument> arguments) const;
  void handle(Function function, const spoe::Use& use, std::string_view message,
              std::span<const spoe::Argument> arguments, spoe::Answer& answer);

  /// Whom a failure keeps from being called: what clients send must not keep the other functions from it.
  enum class Caller : std::uint8_t { kMessage, kWatch };
  /// Calls |work|(script), which returns an outcome, unless the hook is bypassed for |caller|; counts and
  /// times it. False when it was not called, or has not returned.
  template <typename Work>
  bool call(Caller caller, const Work& work);

  struct Counters {
    std::uint64_t calls = 0;
    std::uint64_t errors = 0;  ///< of all kinds
    std::uint64_t out_of_time = 0;
    std::uint64_t out_of_memory = 0;
    std::uint64_t bypassed = 0;  ///< not called, because it has failed too often
  };
  const Counters& counters() const { return counters_; }
  const HookSetup& setup() const { return setup_; }
  Script& script() { return *script_; }
  const Script& script() const { return *script_; }
  std::uint64_t generation() const { return generation_; }
  /// Why the file as it is now is not in use; empty when it is.
  const std::string& load_error() const { return load_error_; }
  const std::string& last_error() const { return last_error_; }
  const Breaker& breaker(Caller caller) const { return breakers_[static_cast<std::size_t>(caller)]; }
  const Script::Metrics& metrics() const { return metrics_; }
  const RecentTimes& times() const { return times_; }

 private:
  Breaker& changing_breaker(Caller caller) { return breakers_[static_cast<std::size_t>(caller)]; }
  bool ended(Caller caller, const lua::Outcome& outcome, std::chrono::steady_clock::time_point begun);

  const HookSetup setup_;
  Host& host_;
  Script::Metrics metrics_;
  std::unique_ptr<Script> script_;
  std::uint64_t generation_ = 0;
  std::string load_error_;
  std::string last_error_;
  std::array<Breaker, 2> breakers_;  ///< by caller
  Counters counters_;
  RecentTimes times_;
};

template <typename Work>
bool Hook::call(Caller caller, const Work& work) {
  if (breaker(caller).open(host_.now)) {
    ++counters_.bypassed;
    return false;
  }
  const auto begun = std::chrono::steady_clock::now();
  return ended(caller, work(*script_), begun);
}

}  // namespace stickmesh::hooks
