#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace stickmesh::store {

/// The texts of `server_key` values, each kept once and counted. Id 0 is "no value".
class StringPool {
 public:
  StringPool() : texts_(1) {}

  /// Adds a use of |text|.
  std::uint32_t acquire(std::string_view text) {
    if (const auto found = ids_.find(text); found != ids_.end()) {
      ++texts_[found->second].uses;
      return found->second;
    }
    std::uint32_t id = 0;
    if (!free_.empty()) {
      id = free_.back();
      free_.pop_back();
    } else {
      id = static_cast<std::uint32_t>(texts_.size());
      texts_.emplace_back();
    }
    texts_[id] = {std::string(text), 1};
    ids_.emplace(std::string(text), id);
    return id;
  }
  void acquire(std::uint32_t id) {
    if (id != 0) ++texts_[id].uses;
  }
  void release(std::uint32_t id) {
    if (id == 0 || --texts_[id].uses != 0) return;
    ids_.erase(texts_[id].text);
    texts_[id].text.clear();
    free_.push_back(id);
  }
  /// Valid until the next acquire or release.
  std::string_view text(std::uint32_t id) const { return texts_[id].text; }

 private:
  struct Entry {
    std::string text;
    std::uint32_t uses = 0;
  };
  std::vector<Entry> texts_;
  std::vector<std::uint32_t> free_;
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>> ids_;
};

}  // namespace stickmesh::store
