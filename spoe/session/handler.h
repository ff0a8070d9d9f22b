#pragma once

#include <string_view>

#include "agent/base/result.h"
#include "agent/base/time.h"
#include "spoe/wire/ack.h"
#include "spoe/wire/hello.h"
#include "spoe/wire/notify.h"

namespace stickmesh::spoe {

/// The variables of one answer, in the order in which HAProxy sets them. They are written where they will be
/// sent from: nothing is copied later.
class Answer {
 public:
  explicit Answer(AckWriter& ack) : ack_(ack) {}

  /// False when it was left out, which the session counts: the frame is full (and stays so), or HAProxy would
  /// not take the name. `AckWriter` says what it takes.
  bool set(Scope scope, std::string_view name, const Value& value) { return ack_.set(scope, name, value); }
  bool unset(Scope scope, std::string_view name) { return ack_.unset(scope, name); }

 private:
  AckWriter& ack_;
};

/// Hears what a session decodes; implemented by the pipeline. Calls come from within the session's `receive`,
/// `sent` and `expire`, in wire order; none may call the session. All views are valid during the call only.
class Handler {
 public:
  Handler() = default;
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
  virtual ~Handler() = default;

  /// HAProxy has said HELLO, and it was not a health check; once per connection. A session that goes on from
  /// another process does not repeat it.
  virtual void established(const HaproxyHello& hello, TimePoint now) = 0;

  /// The messages of one event, complete and valid. The session has set `ok` to true already, and adds
  /// nothing. An error makes the answer `ok` false alone: whatever was set is taken back. So does an
  /// exception. There is no way to not answer.
  virtual Result<void> notified(MessageReader messages, Answer& answer, TimePoint now) = 0;

  /// So many events were answered with `ok` false, because of |why|; the connection goes on.
  virtual void refused(std::uint64_t events, const Error& why, TimePoint now) = 0;

  /// Whether health checks are to fail, so that HAProxy uses another agent. Everything else is still served.
  virtual bool draining() const = 0;
};

}  // namespace stickmesh::spoe
