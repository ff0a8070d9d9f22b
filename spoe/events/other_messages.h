#pragma once

#include <span>
#include <string_view>

#include "agent/base/time.h"
#include "spoe/events/uses.h"
#include "spoe/session/handler.h"
#include "spoe/wire/notify.h"

namespace stickmesh::spoe {

/// Handles messages that are no `track`, `lookup` or `set`.
class OtherMessages {
 public:
  OtherMessages() = default;
  OtherMessages(const OtherMessages&) = delete;
  OtherMessages& operator=(const OtherMessages&) = delete;
  virtual ~OtherMessages() = default;

  /// False when it does not know messages of that name and these arguments: nothing has happened then.
  virtual bool handle(const Use& use, std::string_view message, std::span<const Argument> arguments,
                      Answer& answer, TimePoint now) = 0;
};

}  // namespace stickmesh::spoe
