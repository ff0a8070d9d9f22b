#pragma once

#include <list>
#include <optional>
#include <vector>

#include "agent/admin/lua_source.h"
#include "agent/hooks/watches.h"
#include "spoe/events/other_messages.h"

namespace stickmesh::hooks {

/// The `[[hook]]` entries of the config, in their order (DESIGN, "Lua in the agent").
class Hooks final : public spoe::OtherMessages, public admin::LuaSource {
 public:
  /// |hub| must outlive it.
  Hooks(pipeline::Hub& hub, std::vector<HookSetup> setups);

  /// At the start: every file, or none. The error says which is wrong, and where. |taking_over|: another
  /// process of this agent has run them until now.
  Result<void> load(TimePoint now, bool taking_over = false);
  /// Each file that can be loaded as it is now replaces what was loaded of it; the others stay as they were.
  /// Returns what is wrong with these.
  std::vector<Error> reload(TimePoint now);
  /// What no message calls; returns when it wants to be called next.
  std::optional<TimePoint> run(TimePoint now);

  bool handle(const spoe::Use& use, std::string_view message, std::span<const spoe::Argument> arguments,
              spoe::Answer& answer, TimePoint now) override;
  std::vector<admin::LuaScript> scripts(TimePoint now) const override;

 private:
  struct Loaded {
    Loaded(HookSetup setup, Host& host) : hook(std::move(setup), host), watches(hook, host) {}
    Hook hook;
    Watches watches;
  };

  Host host_;
  std::list<Loaded> hooks_;
  std::vector<Watches*> in_turn_;  ///< of |hooks_|
};

}  // namespace stickmesh::hooks
