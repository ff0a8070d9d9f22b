#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/base/bytes.h"
#include "spoe/wire/buffer.h"
#include "spoe/wire/frame.h"
#include "spoe/wire/typed_data.h"

namespace stickmesh::spoe {

/// How long a variable lives, and who shares it (spop.md 5).
enum class Scope : std::uint8_t { kProcess = 0, kSession = 1, kTransaction = 2, kRequest = 3, kResponse = 4 };

/// HAProxy puts `txn.` and the engine's prefix in front of a name, and the whole may have 63 bytes: longer
/// ones it cuts, and reads past their end. Which prefix it is HAProxy does not tell: this is what `stickmesh`
/// leaves.
inline constexpr std::size_t kMaxVariableName = 49;
/// Letters, digits, '_' and '.', and not too long to be a variable of HAProxy's.
bool is_variable_name(std::string_view name);

// The payload of ACK is actions, of which HAProxy applies those before the first that it does not understand:
// set-var:   | 01 | 03 | scope:1 | name | typed value |
// unset-var: | 02 | 02 | scope:1 | name |

/// Writes one ACK straight behind what |out| has pending. It never grows longer than |limit| bytes of
/// length, at least `kMinFrameSize`: the first action that does not fit is left out, and all after it. Until
/// `finish`, |out| must be written by nobody else and not be consumed.
class AckWriter {
 public:
  AckWriter(Buffer& out, std::uint64_t stream_id, std::uint64_t frame_id, std::size_t limit,
            std::uint32_t flags = kFin);
  AckWriter(const AckWriter&) = delete;
  AckWriter& operator=(const AckWriter&) = delete;

  /// False when it was left out: no room, or a name that HAProxy would refuse.
  bool set(Scope scope, std::string_view name, const Value& value);
  bool unset(Scope scope, std::string_view name);
  /// Takes all actions back.
  void clear();
  void finish();

  std::size_t actions() const { return actions_; }
  std::size_t left_out() const { return left_out_; }

 private:
  /// Memory for an action of at most |size| bytes; nothing when there cannot be room.
  std::byte* begin_action(std::string_view name, std::size_t size);
  bool end_action(const std::byte* end);

  Buffer& out_;
  const std::size_t start_;
  const std::size_t limit_;
  std::size_t first_action_;
  std::size_t actions_ = 0;
  std::size_t left_out_ = 0;
  bool full_ = false;
};

struct Action {
  bool set = false;  ///< else unset
  Scope scope = Scope::kProcess;
  std::string_view name;
  Value value;
};

/// Reads the actions of an ACK, as HAProxy does. `ok()` tells the end from an action it would not take.
class ActionReader {
 public:
  explicit ActionReader(Bytes payload) : reader_(payload) {}

  std::optional<Action> next();
  bool ok() const { return reader_.ok(); }

 private:
  Reader reader_;
};

}  // namespace stickmesh::spoe
