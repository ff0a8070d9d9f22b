#include "agent/snapshot/objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <limits>

#include "agent/snapshot/format.h"

namespace stickmesh::snapshot {

namespace {

using msgpack::type::object_type;

const msgpack::object kNil;

// Of what a version of this format writes, nothing is nested deeper or longer.
constexpr std::size_t kLongest = 4096;
constexpr std::size_t kDeepest = 8;

// Strings and bytes stay where they are.
bool refer(object_type, std::size_t, void*) {
  return true;
}

}  // namespace

const msgpack::object& Objects::next() {
  object_at_ = at_;
  object_ = kNil;
  zone_.clear();
  if (!fault_.empty()) return kNil;
  const std::size_t end = at_ + std::min(bytes_.size() - at_, kMaxObject);
  try {
    static const msgpack::unpack_limit kLimit(kLongest, kLongest, kMaxObject, kMaxObject, kMaxObject,
                                              kDeepest);
    bool referenced = false;
    object_ = msgpack::unpack(zone_, as_text(bytes_).data(), end, at_, referenced, refer, nullptr, kLimit);
  } catch (const std::exception&) {
    object_ = kNil;
  }
  // Nothing in the file is nil by itself.
  if (object_.is_nil() || at_ <= object_at_) fail("no object that this format has");
  return object_;
}

std::uint64_t Objects::number(const msgpack::object& object, std::uint64_t limit, std::string_view what) {
  if (object.type == object_type::POSITIVE_INTEGER && object.via.u64 <= limit) return object.via.u64;
  fail(what);
  return 0;
}

std::uint64_t Objects::signed32(const msgpack::object& object, std::string_view what) {
  if (object.type != object_type::NEGATIVE_INTEGER)
    return number(object, std::numeric_limits<std::int32_t>::max(), what);
  if (object.via.i64 < std::numeric_limits<std::int32_t>::min()) fail(what);
  return static_cast<std::uint64_t>(object.via.i64);
}

bool Objects::flag(const msgpack::object& object, std::string_view what) {
  if (object.type == object_type::BOOLEAN) return object.via.boolean;
  fail(what);
  return false;
}

std::string_view Objects::text(const msgpack::object& object, std::string_view what) {
  if (object.type == object_type::STR) {
    const std::string_view text(object.via.str.ptr, object.via.str.size);
    if (text.find('\0') == std::string_view::npos) return text;
  }
  fail(what);
  return {};
}

Bytes Objects::bytes(const msgpack::object& object, std::string_view what) {
  if (object.type == object_type::BIN)
    return as_bytes(std::string_view(object.via.bin.ptr, object.via.bin.size));
  fail(what);
  return {};
}

std::span<const msgpack::object> Objects::array(const msgpack::object& object, std::size_t at_least,
                                                std::string_view what) {
  if (object.type == object_type::ARRAY && object.via.array.size >= at_least)
    return {object.via.array.ptr, object.via.array.size};
  fail(what);
  return {};
}

const msgpack::object* Objects::find(const msgpack::object& map, std::string_view key) {
  if (map.type != object_type::MAP) {
    fail("what should be a map");
    return nullptr;
  }
  const msgpack::object* found = nullptr;
  for (const msgpack::object_kv& pair : std::span(map.via.map.ptr, map.via.map.size)) {
    if (pair.key.type != object_type::STR ||
        std::string_view(pair.key.via.str.ptr, pair.key.via.str.size) != key)
      continue;
    if (found != nullptr) fail(fmt::format("a second {}", key));
    found = &pair.val;
  }
  return found;
}

const msgpack::object& Objects::get(const msgpack::object& map, std::string_view key) {
  const msgpack::object* found = find(map, key);
  if (found != nullptr) return *found;
  fail(fmt::format("no {}", key));
  return kNil;
}

void Objects::fail(std::string_view what) {
  if (fault_.empty()) fault_ = fmt::format("byte {} of its records: {}", object_at_, what);
}

}  // namespace stickmesh::snapshot
