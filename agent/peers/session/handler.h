#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "agent/base/bytes.h"
#include "agent/base/result.h"
#include "agent/base/table_definition.h"
#include "agent/base/time.h"

namespace stickmesh::peers {

/// A table's number in the definitions of one side of one connection; never 0 in what we send.
using TableId = std::uint32_t;

/// What the dialling side says of itself (peers-protocol 1.3).
struct Hello {
  unsigned minor = 1;     ///< 2.|minor| is spoken
  std::string to;         ///< the name by which it calls us
  std::string from;       ///< its own name
  std::uint64_t pid = 0;  ///< 0 where it gave none that is a number
};

/// One decoded entry update. All views are valid during the call only.
struct Update {
  std::uint32_t update_id = 0;
  bool lesson = false;    ///< belongs to a lesson that we asked for; else a live push
  bool timed = false;
  Duration remaining{0};  ///< the entry's remaining life when |timed|
  Bytes key;              ///< as stored: integers big-endian, strings without length and NUL
  /// The values of the definition's types in order, a type's elements one after the other. Integers take one cell
  /// (server_id sign-extended), rates three: age in ms, current, previous; server_key one of the constants below.
  std::span<const std::uint64_t> cells;
  std::string_view server_key;  ///< where its cell is kServerKeySet
};

inline constexpr std::uint64_t kServerKeyNone = 0;       ///< the entry has no server_key
inline constexpr std::uint64_t kServerKeySet = 1;
inline constexpr std::uint64_t kServerKeyUnchanged = 2;  ///< an id that the sender never filled: keep what we have

/// Hears what a session decodes; implemented by the pipeline. Calls come during `receive` and `expire`, in wire order.
class Handler {
 public:
  Handler() = default;
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
  virtual ~Handler() = default;

  /// Accepting side: whether this peer may come in. An error closes the connection without a status, since HAProxy
  /// never redials after one (peers-protocol 1.3).
  virtual Result<void> admit(const Hello& hello, TimePoint now) = 0;
  /// The handshake is complete; messages may be sent from now on.
  virtual void established(TimePoint now) = 0;
  /// The other side defines a table, for the first time or anew. Returns a handle for `updated`, or nothing when its
  /// updates are to be skipped: those are then neither decoded nor acknowledged.
  virtual std::optional<std::uint32_t> table_defined(const TableDefinition& definition, TimePoint now) = 0;
  virtual void updated(std::uint32_t handle, const Update& update, TimePoint now) = 0;
  /// The other side asks for a lesson: to be answered with `Session::finish_lesson` in any case.
  virtual void lesson_requested(TimePoint now) = 0;
  /// The lesson we asked for is over; it was all that the other side has when |complete|. The session confirms it.
  virtual void lesson_ended(bool complete, TimePoint now) = 0;
  /// The other side has confirmed the lesson that we gave.
  virtual void lesson_confirmed(TimePoint now) = 0;
  /// The other side has taken everything of our table up to this update.
  virtual void acknowledged(TableId table, std::uint32_t update_id, TimePoint now) = 0;
  /// Output has drained below the low-water mark: more may be appended.
  virtual void writable(TimePoint now) = 0;
};

}  // namespace stickmesh::peers
