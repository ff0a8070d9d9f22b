#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "agent/base/bytes.h"
#include "agent/base/result.h"
#include "spoe/wire/typed_data.h"

namespace stickmesh::spoe {

// The payload of NOTIFY (spop.md 4): messages one after the other, possibly none:
// | name | arguments:1 | for each: name, typed value |

struct Message {
  std::string_view name;
  std::size_t arguments = 0;  ///< at most 255
};

struct Argument {
  std::string_view name;  ///< empty where the configuration gives none
  Value value;            ///< null where HAProxy had no sample
};

/// Reads the messages in place, once, in order; a copy starts over where it was taken. All views are of the
/// payload. On a payload that `check_notify` has accepted no read fails; on others reading ends early.
class MessageReader {
 public:
  explicit MessageReader(Bytes payload) : reader_(payload) {}

  /// Skips what is left of the message before.
  std::optional<Message> next();
  /// The next argument of the message that `next` gave last; nothing when it has no more.
  std::optional<Argument> argument();

  bool ok() const { return reader_.ok(); }
  /// Why reading ended early.
  Reason failure() const { return reader_.failure(); }

 private:
  friend Result<void> check_notify(Bytes payload);

  bool read(Argument& argument);

  Reader reader_;
  std::size_t left_ = 0;
};

/// Whether |payload| is messages from its first byte to its last. To be asked before any of them takes
/// effect. An error says in which message and argument the fault is.
Result<void> check_notify(Bytes payload);

/// Builds the payload, as HAProxy does.
class MessageWriter {
 public:
  explicit MessageWriter(std::vector<std::byte>& out) : writer_(out) {}

  /// |arguments| calls of `argument` must follow.
  void message(std::string_view name, std::uint8_t arguments);
  void argument(std::string_view name, const Value& value);

 private:
  Writer writer_;
};

}  // namespace stickmesh::spoe
