#include "agent/hooks/hook.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/base/log.h"

namespace stickmesh::hooks {

Result<void> Hook::load() {
  // Who waits for an answer must not wait for a file that loops.
  const lua::Watchdog::Limit limit =
      script_ == nullptr ? std::chrono::seconds(1) : std::chrono::milliseconds(100);
  auto loaded = Script::load(setup_.file, setup_.limits, limit, host_, metrics_);
  if (!loaded) {
    load_error_ = loaded.error().detail;
    return tl::unexpected(loaded.error());
  }
  load_error_.clear();
  breakers_ = {};
  script_ = std::move(*loaded);
  ++generation_;
  return {};
}

const Function* Hook::function_for(std::string_view message,
                                   std::span<const spoe::Argument> arguments) const {
  const Function* const function = script_->on_message(message);
  if (function == nullptr || setup_.frontends.empty()) return function;
  const auto frontend = std::find_if(arguments.begin(), arguments.end(),
                                     [](const spoe::Argument& argument) { return argument.name == "fe"; });
  const std::string_view name = frontend == arguments.end() ? std::string_view() : frontend->value.text();
  const bool ours = std::any_of(setup_.frontends.begin(), setup_.frontends.end(),
                                [&](const pipeline::Pattern& pattern) { return pattern.match(name); });
  return ours ? function : nullptr;
}

void Hook::handle(Function function, const spoe::Use& use, std::string_view message,
                  std::span<const spoe::Argument> arguments, spoe::Answer& answer) {
  const bool returned = call(Caller::kMessage, [&](Script& script) {
    return script.handle(function, message, use.prefix(), arguments);
  });
  if (returned) {
    if (script_->event().answer(answer)) return;
    ++counters_.errors;
    last_error_ = fmt::format("{}: the frame has no room for all variables", message);
    return host_.hub.errors().record({Reason::kHook, last_error_}, setup_.file, host_.now);
  }
  if (setup_.on_error == OnError::kDefault) return;
  const bool deny = setup_.on_error == OnError::kDeny;
  answer.set(spoe::Scope::kTransaction, use.verdict(), spoe::Value::string(deny ? "deny" : "allow"));
  answer.set(spoe::Scope::kTransaction, use.reason(), spoe::Value::string("hook-failed"));
}

bool Hook::ended(Caller caller, const lua::Outcome& outcome, std::chrono::steady_clock::time_point begun) {
  const auto took =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begun);
  times_.add(took, 1, host_.now);
  ++counters_.calls;
  if (outcome) {
    changing_breaker(caller).succeeded(host_.now);
    return true;
  }
  ++counters_.errors;
  if (outcome.ending == lua::Ending::kOutOfTime) ++counters_.out_of_time;
  if (outcome.ending == lua::Ending::kOutOfMemory) ++counters_.out_of_memory;
  last_error_ = outcome.message;
  host_.hub.errors().record({Reason::kHook, outcome.message}, setup_.file, host_.now);
  const bool overrun = outcome.ending != lua::Ending::kFailed;
  if (changing_breaker(caller).failed(overrun, host_.now)) {
    log::warning("hook {} has failed too often: its functions of {} are bypassed for {} s", setup_.file,
                 caller == Caller::kMessage ? "messages" : "updates, thresholds, peers and timers",
                 breaker(caller).left(host_.now).count() / 1000);
  }
  return false;
}

}  // namespace stickmesh::hooks
