#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "agent/base/reason.h"
#include "agent/base/varint.h"

namespace stickmesh {

using Bytes = std::span<const std::byte>;

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Reads fields from bytes that stay owned by the caller. The first failure sticks: later reads return zero
/// or nothing, so a decoder reads everything and asks `ok()` once. Views point into the caller's bytes.
class Reader {
 public:
  explicit Reader(Bytes bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool ok() const { return !failed_; }
  /// Why the first failed read failed; meaningful only when `ok()` is false.
  Reason failure() const { return failure_; }
  std::size_t remaining() const { return static_cast<std::size_t>(end_ - at_); }
  Bytes rest() const { return {at_, remaining()}; }

  void fail(Reason reason) {
    if (failed_) return;
    failed_ = true;
    failure_ = reason;
    at_ = end_;
  }

  std::uint8_t u8() {
    if (remaining() < 1) {
      fail(Reason::kTruncated);
      return 0;
    }
    return std::to_integer<std::uint8_t>(*at_++);
  }

  std::uint32_t u32be() {
    const Bytes field = bytes(4);
    if (field.empty()) return 0;
    std::uint32_t value = 0;
    for (const std::byte byte : field) value = value << 8U | std::to_integer<std::uint32_t>(byte);
    return value;
  }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    switch (decode_varint(at_, end_, value)) {
      case VarintStatus::kOk:
        return value;
      case VarintStatus::kTruncated:
        fail(Reason::kTruncated);
        return 0;
      case VarintStatus::kOverflow:
        fail(Reason::kVarintOverflow);
        return 0;
    }
    return 0;
  }

  /// A varint that must not exceed |limit|; above it the read fails with kValueOutOfRange.
  std::uint64_t varint_up_to(std::uint64_t limit) {
    const std::uint64_t value = varint();
    if (value <= limit) return value;
    fail(Reason::kValueOutOfRange);
    return 0;
  }

  Bytes bytes(std::uint64_t size) {
    if (size > remaining()) {
      fail(Reason::kTruncated);
      return {};
    }
    const Bytes field(at_, static_cast<std::size_t>(size));
    at_ += size;
    return field;
  }

 private:
  const std::byte* at_;
  const std::byte* end_;
  bool failed_ = false;
  Reason failure_ = Reason::kTruncated;
};

/// Appends fields to a vector that the caller owns and whose capacity it keeps between messages.
class Writer {
 public:
  explicit Writer(std::vector<std::byte>& out) : out_(out) {}

  void u8(std::uint8_t value) { out_.push_back(static_cast<std::byte>(value)); }
  void u32be(std::uint32_t value) {
    const std::byte field[4] = {static_cast<std::byte>(value >> 24U), static_cast<std::byte>(value >> 16U),
                                static_cast<std::byte>(value >> 8U), static_cast<std::byte>(value)};
    bytes(field);
  }
  void varint(std::uint64_t value) {
    std::byte field[kMaxVarintSize];
    bytes({field, static_cast<std::size_t>(encode_varint(value, field) - field)});
  }
  void bytes(Bytes field) { out_.insert(out_.end(), field.begin(), field.end()); }

 private:
  std::vector<std::byte>& out_;
};

}  // namespace stickmesh
