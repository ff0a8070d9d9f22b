#include "agent/pipeline/limits.h"

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>

namespace stickmesh::pipeline {

namespace {

/// Unix milliseconds of the year 10889.
constexpr std::uint64_t kLatest = std::uint64_t{1} << 48U;

}  // namespace

const Limit* Limits::find(std::string_view name) const {
  const auto limit =
      std::find_if(limits_.begin(), limits_.end(), [&](const Limit& other) { return other.name == name; });
  return limit == limits_.end() ? nullptr : &*limit;
}

bool Limits::change(std::string_view name, const std::optional<LimitValue>& value, std::uint64_t at) {
  for (Limit& limit : limits_) {
    if (limit.name != name) continue;
    // After what is as late as that nobody could change it any more.
    if (at <= limit.changed_at || at > kLatest) return false;
    limit.changed = value;
    limit.changed_at = at;
    ++changes_;
    return true;
  }
  return false;
}

std::uint64_t Limits::digest() const {
  if (limits_.empty()) return 0;
  std::vector<std::string> lines;
  for (const Limit& limit : limits_) {
    lines.push_back(fmt::format("{}\t{}\t{}\t{}\t{}\n", limit.name, limit.table, static_cast<int>(limit.type),
                                limit.configured.above, limit.configured.shadow));
  }
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const std::string& line : lines) text += line;
  return XXH3_64bits(text.data(), text.size());
}

}  // namespace stickmesh::pipeline
