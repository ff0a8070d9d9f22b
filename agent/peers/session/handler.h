#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "agent/base/bytes.h"
#include "agent/base/result.h"
#include "agent/base/table_definition.h"
#include "agent/base/time.h"
#include "agent/peers/wire/definition.h"
#include "agent/peers/wire/entry_update.h"
#include "agent/peers/wire/handshake.h"

namespace stickmesh::peers {

/// One decoded entry update. All views are valid during the call only.
struct Update {
  std::uint32_t update_id = 0;
  bool lesson = false;  ///< belongs to a lesson that we asked for; else a live push
  bool timed = false;
  Duration remaining{0};  ///< the entry's remaining life when |timed|
  Bytes key;              ///< as stored: integers big-endian, strings without length and NUL
  /// The values of the definition's types in order, a type's elements one after the other. Integers take one
  /// cell (server_id sign-extended), rates three: age in ms, current, previous; server_key one of
  /// kServerKeyNone, kServerKeySet and kServerKeyUnchanged.
  std::span<const std::uint64_t> cells;
  std::string_view server_key;  ///< where its cell is kServerKeySet
  VersionField version;         ///< of `versioned` tables
};

/// Hears what a session decodes; implemented by the pipeline. Calls come from within
/// the session's `receive` and `sent`, in wire order; each may call the session.
class Handler {
 public:
  Handler() = default;
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
  virtual ~Handler() = default;

  /// Accepting side: whether this peer may come in. An error closes the connection without a status, since
  /// HAProxy never redials after one (peers-protocol 1.3).
  virtual Result<void> admit(const Hello& hello, TimePoint now) = 0;
  /// The handshake is complete; messages may be sent from now on.
  virtual void established(TimePoint now) = 0;
  /// The other side defines a table, for the first time or anew. Returns a handle for `updated`, or nothing
  /// when its updates are to be skipped: those are then neither decoded nor acknowledged.
  virtual std::optional<std::uint32_t> table_defined(const TableDefinition& definition, TimePoint now) = 0;
  virtual void updated(std::uint32_t handle, const Update& update, TimePoint now) = 0;
  /// The other side asks for a lesson: to be answered with `Session::finish_lesson` in any case.
  virtual void lesson_requested(TimePoint now) = 0;
  /// The lesson we asked for is over; it was all that the other side has when |complete|. The session
  /// confirms it.
  virtual void lesson_ended(bool complete, TimePoint now) = 0;
  /// The other side has confirmed the lesson that we gave.
  virtual void lesson_confirmed(TimePoint now) = 0;
  /// The other side has taken everything of our table up to this update.
  virtual void acknowledged(TableId table, std::uint32_t update_id, TimePoint now) = 0;
  /// Output has drained below the low-water mark: more may be appended.
  virtual void writable(TimePoint now) = 0;
};

}  // namespace stickmesh::peers
