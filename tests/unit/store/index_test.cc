#include "agent/store/index.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <random>
#include <unordered_map>
#include <vector>

namespace stickmesh::store {
namespace {

// Keys are numbers; entry |id| has the key `keys[id]`, as a table's rows have theirs.
class IndexTest : public testing::Test {
 protected:
  std::uint32_t find(std::uint64_t hash, std::uint64_t key) const {
    return index_.find(hash, [&](std::uint32_t id) { return keys_[id] == key; });
  }

  // Random insertions, searches and removals over |range| keys with hashes |hash_of| them.
  template <typename HashOf>
  void compare_with_map(unsigned seed, std::uint64_t range, int steps, HashOf&& hash_of) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    std::unordered_map<std::uint64_t, std::uint32_t> oracle;
    std::vector<std::uint32_t> free;
    // Long runs of mostly insertions, then of mostly removals, so that parts fill and empty.
    for (int step = 0; step < steps; ++step) {
      const std::uint64_t key = random() % range;
      const bool growing = step / (steps / 6) % 2 == 0;
      const auto known = oracle.find(key);
      ASSERT_EQ(find(hash_of(key), key), known == oracle.end() ? kNone : known->second) << "step " << step;
      if (known == oracle.end() && random() % 4 < (growing ? 3U : 1U)) {
        std::uint32_t id = static_cast<std::uint32_t>(keys_.size());
        if (free.empty()) {
          keys_.push_back(key);
        } else {
          id = free.back();
          free.pop_back();
          keys_[id] = key;
        }
        ASSERT_TRUE(index_.insert(hash_of(key), id));
        oracle[key] = id;
      } else if (known != oracle.end() && random() % 4 < (growing ? 1U : 3U)) {
        index_.erase(hash_of(key), known->second);
        free.push_back(known->second);
        oracle.erase(known);
      }
    }
    for (const auto& [key, id] : oracle) ASSERT_EQ(find(hash_of(key), key), id);
    EXPECT_EQ(index_.memory(), budget_.used());
  }

  MemoryBudget budget_{std::size_t{1} << 26U};
  Index index_{budget_};
  std::vector<std::uint64_t> keys_;
};

std::uint64_t mix(std::uint64_t key) {
  key = (key ^ key >> 31U) * 0x9e3779b97f4a7c15U;
  key = (key ^ key >> 29U) * 0xbf58476d1ce4e5b9U;
  return key ^ key >> 32U;
}

TEST_F(IndexTest, AgreesWithAMapWhereHashesSpread) {
  compare_with_map(1, 50000, 300000, mix);
}

TEST_F(IndexTest, AgreesWithAMapWhereAllKeysShareOnePart) {
  compare_with_map(2, 3000, 60000, [](std::uint64_t key) { return mix(key) >> 6U; });
}

// Keys of the same tag differ only for the caller's comparison.
TEST_F(IndexTest, AgreesWithAMapWhereManyKeysShareATag) {
  compare_with_map(3, 200, 30000, [](std::uint64_t key) { return key % 3; });
}

// Neighbouring homes make long runs that wrap around the end of a part.
TEST_F(IndexTest, AgreesWithAMapWhereRunsWrapAround) {
  compare_with_map(4, 40, 60000, [](std::uint64_t key) { return std::uint64_t{0xfffffff0U} + key % 18; });
}

TEST_F(IndexTest, FindsNothingWhenEmpty) {
  EXPECT_EQ(find(42, 42), kNone);
  index_.erase(42, 0);
  index_.prefetch(42);
  EXPECT_EQ(index_.memory(), 0U);
}

TEST_F(IndexTest, ErasingWhatIsNotThereChangesNothing) {
  keys_ = {7, 8};
  ASSERT_TRUE(index_.insert(7, 0));
  index_.erase(7, 1);
  index_.erase(9, 0);
  EXPECT_EQ(find(7, 7), 0U);
}

TEST_F(IndexTest, RefusesToGrowPastTheBudgetAndKeepsWhatItHas) {
  MemoryBudget small(std::size_t{16} * 8);
  Index index(small);
  std::uint32_t count = 0;
  while (count < 100 && index.insert(count, count)) ++count;
  EXPECT_EQ(count, 12U);
  EXPECT_LE(small.used(), small.limit());
  for (std::uint32_t id = 0; id < count; ++id) {
    EXPECT_EQ(index.find(id, [&](std::uint32_t found) { return found == id; }), id);
  }
  index.erase(5, 5);
  EXPECT_TRUE(index.insert(77, 77));
}

TEST(IndexMemoryTest, ReturnsItsMemoryToTheBudget) {
  MemoryBudget budget(std::size_t{1} << 24U);
  {
    Index index(budget);
    for (std::uint32_t id = 0; id < 10000; ++id) ASSERT_TRUE(index.insert(mix(id), id));
    EXPECT_EQ(index.memory(), budget.used());
    // Two thirds empty at most, and the eight bytes a slot that its comment promises.
    EXPECT_LE(index.memory(), 10000U * 8 * 3);
  }
  EXPECT_EQ(budget.used(), 0U);
}

}  // namespace
}  // namespace stickmesh::store
