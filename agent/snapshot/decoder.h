#pragma once

#include "agent/base/bytes.h"
#include "agent/base/result.h"
#include "agent/snapshot/format.h"

namespace stickmesh::snapshot {

/// What `decode` finds, in the order of the file. Views are valid during the call. By default nothing is
/// done.
class Receiver {
 public:
  Receiver() = default;
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;
  virtual ~Receiver() = default;

  virtual void header(const Header&) {}
  virtual void clock(Duration /*since_written*/) {}
  virtual void origin(const OriginRecord&) {}
  virtual void table(const TableSection&) {}
  virtual void stored(const StoredTypes&) {}
  virtual void contribution(const Contribution&) {}
  virtual void fellow(const FellowRecord&) {}
  virtual void feed(std::uint64_t /*last*/) {}
  virtual void place(const FeedPlace&) {}
  virtual void taken(std::string_view /*fellow*/, std::uint64_t /*sequence*/) {}
};

/// Reads |file|, whose bytes may come from anybody: every type, size and number is checked. A contribution
/// has a key that fits its table and the cells of its origin's types; every origin and table that is referred
/// to has come before. An error says what is wrong, when a part has been handed on already: so whoever wants
/// all or nothing decodes twice, the first time with a plain `Receiver`. Memory is bounded whatever the file.
Result<void> decode(Bytes file, Receiver& receiver);

}  // namespace stickmesh::snapshot
