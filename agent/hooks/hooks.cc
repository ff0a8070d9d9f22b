#include "agent/hooks/hooks.h"

#include <fmt/format.h>

#include "agent/base/log.h"

namespace stickmesh::hooks {

namespace {

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
  for (HookSetup& setup : setups) hooks_.emplace_back(std::move(setup), host_);
}

Result<void> Hooks::load(TimePoint now) {
  host_.now = now;
  for (Loaded& loaded : hooks_) {
    if (auto result = loaded.hook.load(); !result) return result;
    loaded.watches.begin();
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
    loaded.watches.begin();
    log::notice("hook {}: generation {} is in use", loaded.hook.setup().file, loaded.hook.generation());
  }
  host_.hub.wake();
  return errors;
}

std::optional<TimePoint> Hooks::run(TimePoint now) {
  host_.now = now;
  std::optional<TimePoint> next;
  for (Loaded& loaded : hooks_) {
    const std::optional<TimePoint> wanted = loaded.watches.run(now);
    if (wanted && (!next || *wanted < *next)) next = wanted;
  }
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
