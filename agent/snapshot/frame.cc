#include "agent/snapshot/frame.h"

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>

#include "agent/snapshot/format.h"

namespace stickmesh::snapshot {

namespace {

// Of msgpack: a string of 18 bytes, an array of two, an unsigned number in eight bytes.
constexpr auto kString18 = static_cast<char>(0xb2);
constexpr auto kArray2 = static_cast<char>(0x92);
constexpr auto kUnsigned64 = static_cast<char>(0xcf);
constexpr std::size_t kStartSize = 1 + kMagic.size();
constexpr std::size_t kEndSize = 1 + 2 * 9;
static_assert(kMagic.size() == 18 && kFormat < 128);

void append64(std::vector<char>& out, std::uint64_t value) {
  out.push_back(kUnsigned64);
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

tl::unexpected<Error> bad(std::string detail) {
  return refuse(Reason::kBadSnapshot, std::move(detail));
}

}  // namespace

struct Framer::Hash {
  XXH3_state_t state;
};

Framer::Framer() : hash_(std::make_unique<Hash>()) {
  XXH3_64bits_reset(&hash_->state);
}

Framer::~Framer() = default;

void Framer::begin(std::vector<char>& out) {
  out.push_back(kString18);
  out.insert(out.end(), kMagic.begin(), kMagic.end());
  out.push_back(static_cast<char>(kFormat));
}

void Framer::add(Bytes written) {
  XXH3_64bits_update(&hash_->state, written.data(), written.size());
  length_ += written.size();
}

void Framer::end(std::vector<char>& out) const {
  out.push_back(kArray2);
  append64(out, length_);
  append64(out, XXH3_64bits_digest(&hash_->state));
}

Result<Bytes> unframe(Bytes file) {
  std::vector<char> start;
  Framer::begin(start);
  const std::string_view text = as_text(file);
  if (text.substr(0, kStartSize) != std::string_view(start.data(), kStartSize)) {
    return bad(file.empty() ? "it is empty" : "it does not begin as a snapshot does");
  }
  const std::uint8_t format = file.size() > kStartSize ? std::to_integer<std::uint8_t>(file[kStartSize]) : 0;
  if (format > kFormat) {
    return bad(
        fmt::format("it has format {}, and this version knows formats up to {}: a later version wrote it",
                    format, kFormat));
  }
  if (file.size() < start.size() + kEndSize || format == 0)
    return bad(fmt::format("it was cut off after {} bytes", file.size()));
  const std::size_t length = file.size() - kEndSize;
  const auto read64 = [&](std::size_t at) {
    Reader reader(file.subspan(at, 8));
    return std::uint64_t{reader.u32be()} << 32U | reader.u32be();
  };
  const std::string_view end = text.substr(length);
  if (end[0] != kArray2 || end[1] != kUnsigned64 || end[10] != kUnsigned64 || read64(length + 2) != length)
    return bad(fmt::format("it was cut off after {} bytes, or bytes were added", file.size()));
  if (read64(length + 11) != XXH3_64bits(file.data(), length))
    return bad("its checksum does not fit: it was damaged");
  return file.subspan(start.size(), length - start.size());
}

}  // namespace stickmesh::snapshot
