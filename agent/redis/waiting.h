#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <utility>

namespace stickmesh::redis {

/// What waits for its turn, in the order in which it came: each |Key| once, however often it is added, so
/// that no more wait than there are.
template <typename Key, typename Value>
class Waiting {
 public:
  bool empty() const { return order_.empty(); }
  std::size_t size() const { return order_.size(); }

  /// What is known of |key|, to be added to: a new value unless it waits already.
  Value& add(const Key& key) {
    const auto [at, added] = values_.try_emplace(key);
    if (added) order_.push_back(at);
    return at->second;
  }

  /// The oldest, which waits no more.
  std::pair<Key, Value> take() {
    const auto oldest = order_.front();
    order_.pop_front();
    std::pair<Key, Value> taken{oldest->first, std::move(oldest->second)};
    values_.erase(oldest);
    return taken;
  }

 private:
  using Values = std::map<Key, Value>;
  Values values_;
  std::deque<typename Values::iterator> order_;
};

}  // namespace stickmesh::redis
