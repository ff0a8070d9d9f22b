#include "agent/hooks/hooks.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/base/log.h"

namespace stickmesh::hooks {

namespace {

/// What no message calls may keep messages waiting for so long, and one call more.
constexpr std::chrono::milliseconds kAtOnce{2};

std::string state_of(const Hook& hook, TimePoint now) {
  std::string bypassed;
  for (const auto& [caller, what] :
       {std::pair(Hook::Caller::kMessage, "messages"),
        std::pair(Hook::Caller::kWatch, "updates, thresholds, peers and timers")}) {
    const Breaker& breaker = hook.breaker(caller);
    if (!breaker.open(now)) continue;
    if (!bypassed.empty()) bypassed += "; ";
    bypassed += fmt::format("{}: bypassed for {} s", what, (breaker.left(now).count() + 999) / 1000);
  }
  return bypassed.empty() ? "running" : bypassed;
}

}  // namespace

Hooks::Hooks(pipeline::Hub& hub, std::vector<HookSetup> setups) : host_(hub) {
  for (HookSetup& setup : setups) in_turn_.push_back(&hooks_.emplace_back(std::move(setup), host_).watches);
}

Result<void> Hooks::load(TimePoint now, bool taking_over) {
  host_.now = now;
  for (Loaded& loaded : hooks_) {
    if (auto result = loaded.hook.load(); !result) return result;
    loaded.watches.begin(now, taking_over);
  }
  return {};
}

std::vector<Error> Hooks::reload(TimePoint now) {
  host_.now = now;
  std::vector<Error> errors;
  for (Loaded& loaded : hooks_) {
    if (auto result = loaded.hook.load(); !result) {
      errors.push_back(result.error());
      host_.hub.errors().record(result.error(),
                                fmt::format("{}, which stays as it was", loaded.hook.setup().file), now);
      continue;
    }
    loaded.watches.begin(now, /*taking_over=*/false);
    log::notice("hook {}: generation {} is in use", loaded.hook.setup().file, loaded.hook.generation());
  }
  host_.hub.wake();
  return errors;
}

std::optional<TimePoint> Hooks::run(TimePoint now) {
  host_.now = now;
  std::optional<TimePoint> next;
  const auto end = std::chrono::steady_clock::now() + kAtOnce;
  for (Watches* const watches : in_turn_) {
    const std::optional<TimePoint> wanted = watches->run(now, end);
    if (wanted && (!next || *wanted < *next)) next = wanted;
  }
  // Another one is the first next time.
  if (!in_turn_.empty()) std::rotate(in_turn_.begin(), in_turn_.begin() + 1, in_turn_.end());
  return next;
}

bool Hooks::handle(const spoe::Use& use, std::string_view message, std::span<const spoe::Argument> arguments,
                   spoe::Answer& answer, TimePoint now) {
  host_.now = now;
  for (Loaded& loaded : hooks_) {
    const Function* const function = loaded.hook.function_for(message, arguments);
    if (function == nullptr) continue;
    loaded.hook.handle(*function, use, message, arguments, answer);
    return true;
  }
  return false;
}

std::vector<admin::LuaScript> Hooks::scripts(TimePoint now) const {
  std::vector<admin::LuaScript> scripts;
  for (const Loaded& loaded : hooks_) {
    const Hook& hook = loaded.hook;
    const RecentTimes::Summary times = hook.times().summary(now);
    const Hook::Counters& counters = hook.counters();
    admin::LuaScript script;
    script.file = hook.setup().file;
    script.state = state_of(hook, now);
    script.numbers = {{"generation", hook.generation()},
                      {"calls", counters.calls},
                      {"errors", counters.errors},
                      {"out_of_time", counters.out_of_time},
                      {"out_of_memory", counters.out_of_memory},
                      {"bypassed", counters.bypassed},
                      {"p50_us", static_cast<std::uint64_t>(times.p50.count())},
                      {"p99_us", static_cast<std::uint64_t>(times.p99.count())},
                      {"max_us", static_cast<std::uint64_t>(times.max.count())},
                      {"memory", hook.script().memory()},
                      {"memory_limit", hook.script().memory_limit()}};
    script.load_error = hook.load_error();
    script.last_error = hook.last_error();
    script.metrics.assign(hook.metrics().begin(), hook.metrics().end());
    scripts.push_back(std::move(script));
  }
  return scripts;
}

}  // namespace stickmesh::hooks
