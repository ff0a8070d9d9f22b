#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stickmesh::store {

using OriginId = std::uint16_t;
/// No origin: `max-origins` stays below it.
inline constexpr OriginId kNobody = 0xffff;

/// Who counted a value: an instance, or an incarnation of an agent.
struct Origin {
  std::string name;
  std::uint32_t generation = 0;  ///< of the counters that it sends now
  bool present = false;          ///< false once it has been away for `away-after`
};

/// All origins ever heard of, numbered; ids stay valid for the life of the process.
class Origins {
 public:
  explicit Origins(std::size_t limit) : limit_(limit) {}

  /// The origin of that name, made when it is new; nothing when `max-origins` is reached.
  std::optional<OriginId> intern(std::string_view name) {
    if (const auto found = ids_.find(name); found != ids_.end()) return found->second;
    if (origins_.size() >= limit_) return std::nullopt;
    const auto id = static_cast<OriginId>(origins_.size());
    origins_.push_back({std::string(name), 0, false});
    ids_.emplace(std::string(name), id);
    return id;
  }
  std::optional<OriginId> find(std::string_view name) const {
    const auto found = ids_.find(name);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }

  Origin& operator[](OriginId id) { return origins_[id]; }
  const Origin& operator[](OriginId id) const { return origins_[id]; }
  std::size_t size() const { return origins_.size(); }
  std::size_t limit() const { return limit_; }

 private:
  std::size_t limit_;
  std::vector<Origin> origins_;
  std::map<std::string, OriginId, std::less<>> ids_;
};

}  // namespace stickmesh::store
