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

/// No generation is ever counted that far, and no change, whose number may have one in its upper half.
inline constexpr std::uint64_t kMaxGeneration = 0x7fffffff;
inline constexpr std::uint64_t kMaxChangeNumber = kMaxGeneration << 32U | 0xffffffff;

/// Who counted a value: an instance, or an incarnation of an agent.
struct Origin {
  std::string name;
  std::uint32_t generation = 0;  ///< the highest that is known of it
  /// The process whose generation that is; 0 when nobody has said. Above 32 bits: one of which the pid is not
  /// known.
  std::uint64_t process = 0;
  bool present = false;  ///< false once it has been away for `away-after`
  bool known = true;     ///< false once nobody of that name is expected any more
  std::size_t contributions = 0;
};

/// All origins, numbered. An id stays valid while its origin is known or has contributions in some table.
class Origins {
 public:
  explicit Origins(std::size_t limit) : limit_(limit) {}

  /// The origin of that name, made when it is new; nothing when `max-origins` is reached and none of them can
  /// make room.
  std::optional<OriginId> intern(std::string_view name) {
    if (const auto found = ids_.find(name); found != ids_.end()) {
      origins_[found->second].known = true;
      return found->second;
    }
    const std::optional<OriginId> id = free_id();
    if (!id) return std::nullopt;
    origins_[*id] = {};
    origins_[*id].name = name;
    ids_.emplace(std::string(name), *id);
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
  /// How often an id has become another origin's.
  std::uint32_t reuses() const { return reuses_; }

 private:
  std::optional<OriginId> free_id() {
    if (origins_.size() < limit_) {
      origins_.emplace_back();
      return static_cast<OriginId>(origins_.size() - 1);
    }
    for (std::size_t id = 0; id < origins_.size(); ++id) {
      if (origins_[id].known || origins_[id].contributions != 0) continue;
      ids_.erase(origins_[id].name);
      ++reuses_;
      return static_cast<OriginId>(id);
    }
    return std::nullopt;
  }

  std::size_t limit_;
  std::uint32_t reuses_ = 0;
  std::vector<Origin> origins_;
  std::map<std::string, OriginId, std::less<>> ids_;
};

}  // namespace stickmesh::store
