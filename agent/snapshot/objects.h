#pragma once

#include <cstddef>
#include <cstdint>
#include <msgpack.hpp>
#include <span>
#include <string>
#include <string_view>

#include "agent/base/bytes.h"

namespace stickmesh::snapshot {

/// Reads a row of msgpack objects, one at a time, from bytes that stay owned by the caller. Whatever has
/// another type or value than was asked for is a fault; the first one sticks, and later reads return nothing,
/// so that a decoder reads all of an object and asks `fault()` once. Views point into the bytes.
class Objects {
 public:
  explicit Objects(Bytes bytes) : bytes_(bytes) {}

  bool at_end() const { return at_ == bytes_.size(); }
  /// The next object, valid until the next call; nil once there is a fault. The memory that it takes is
  /// bounded by the bytes it has, not by the sizes it claims.
  const msgpack::object& next();

  std::uint64_t number(const msgpack::object& object, std::uint64_t limit, std::string_view what);
  /// A number that may be negative, in two's complement.
  std::uint64_t signed32(const msgpack::object& object, std::string_view what);
  bool flag(const msgpack::object& object, std::string_view what);
  /// Without NUL, which nothing that HAProxy calls a string can hold.
  std::string_view text(const msgpack::object& object, std::string_view what);
  Bytes bytes(const msgpack::object& object, std::string_view what);
  std::span<const msgpack::object> array(const msgpack::object& object, std::size_t at_least,
                                         std::string_view what);
  /// The value of |key| in a map, or null. A key that is there twice is a fault.
  const msgpack::object* find(const msgpack::object& map, std::string_view key);
  /// As `find`, but one that is missing is a fault, and nil.
  const msgpack::object& get(const msgpack::object& map, std::string_view key);

  void fail(std::string_view what);
  /// Where and what the first fault is, in words; empty while all is well.
  const std::string& fault() const { return fault_; }

 private:
  Bytes bytes_;
  std::size_t at_ = 0;
  std::size_t object_at_ = 0;
  msgpack::zone zone_;
  msgpack::object object_;
  std::string fault_;
};

}  // namespace stickmesh::snapshot
