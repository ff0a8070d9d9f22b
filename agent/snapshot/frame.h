#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "agent/base/bytes.h"
#include "agent/base/result.h"

namespace stickmesh::snapshot {

/// What makes a row of records a file: how it begins, and the length and checksum at its end.
class Framer {
 public:
  Framer();
  Framer(const Framer&) = delete;
  Framer& operator=(const Framer&) = delete;
  ~Framer();

  static void begin(std::vector<char>& out);
  /// |written| goes into the file next: to be called for all bytes before the end, in their order.
  void add(Bytes written);
  void end(std::vector<char>& out) const;

 private:
  struct Hash;
  std::unique_ptr<Hash> hash_;
  std::uint64_t length_ = 0;
};

/// The records of |file|, whose bytes are all as they were written. An error says what is wrong with it.
Result<Bytes> unframe(Bytes file);

}  // namespace stickmesh::snapshot
