#include "agent/store/slab.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <vector>

namespace stickmesh::store {
namespace {

constexpr std::size_t kAmple = std::size_t{1} << 30U;

TEST(MemoryBudgetTest, RefusesWhatWouldPassTheLimit) {
  MemoryBudget budget(100);
  EXPECT_TRUE(budget.reserve(60));
  EXPECT_FALSE(budget.reserve(41));
  EXPECT_EQ(budget.used(), 60U);
  EXPECT_TRUE(budget.reserve(40));
  EXPECT_FALSE(budget.reserve(1));
  budget.release(100);
  EXPECT_EQ(budget.used(), 0U);
}

TEST(MemoryBudgetTest, IsScarceFromNineTenthsOn) {
  MemoryBudget budget(1000);
  EXPECT_TRUE(budget.reserve(899));
  EXPECT_FALSE(budget.scarce());
  EXPECT_TRUE(budget.reserve(1));
  EXPECT_TRUE(budget.scarce());
}

// A change of layout holds the old and the new rows at once, and may pass the limit for that moment.
TEST(MemoryBudgetTest, ForgetsNothingThatWasHadAboveTheLimit) {
  MemoryBudget budget(100);
  EXPECT_TRUE(budget.reserve(80));
  budget.reserve_always(90);
  EXPECT_FALSE(budget.reserve(1));
  EXPECT_TRUE(budget.scarce());
  budget.release(80);
  EXPECT_EQ(budget.used(), 90U);
  EXPECT_FALSE(budget.reserve(11));
  EXPECT_TRUE(budget.reserve(10));
}

TEST(SlabTest, RowsAreZeroedAndAlignedAndApart) {
  MemoryBudget budget(kAmple);
  Slab slab(13, budget);
  EXPECT_EQ(slab.row_size(), 16U);
  const std::uint32_t first = slab.take();
  std::memset(slab.row(first), 0xff, slab.row_size());
  const std::uint32_t second = slab.take();
  EXPECT_NE(first, second);
  for (std::size_t at = 0; at < slab.row_size(); ++at) {
    EXPECT_EQ(slab.row(first)[at], std::byte{0xff});
    EXPECT_EQ(slab.row(second)[at], std::byte{0});
  }
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(slab.row(second)) % 8, 0U);

  slab.give_back(first);
  EXPECT_EQ(slab.take(), first);
  for (std::size_t at = 0; at < slab.row_size(); ++at) EXPECT_EQ(slab.row(first)[at], std::byte{0});
}

TEST(SlabTest, UsesFreedRowsAgainLastFreedFirst) {
  MemoryBudget budget(kAmple);
  Slab slab(8, budget);
  for (int count = 0; count < 10; ++count) slab.take();
  slab.give_back(3);
  slab.give_back(7);
  EXPECT_EQ(slab.live(), 8U);
  EXPECT_EQ(slab.take(), 7U);
  EXPECT_EQ(slab.take(), 3U);
  EXPECT_EQ(slab.take(), 10U);
  EXPECT_EQ(slab.end(), 11U);
}

TEST(SlabTest, GrowthMovesNoRow) {
  MemoryBudget budget(kAmple);
  Slab slab(40, budget);
  const std::byte* first = slab.row(slab.take());
  for (int count = 0; count < 100000; ++count) slab.take();
  EXPECT_EQ(slab.row(0), first);
  EXPECT_EQ(slab.memory(), budget.used());
}

TEST(SlabTest, IdsOfTakenRowsNeverCoincide) {
  MemoryBudget budget(kAmple);
  Slab slab(24, budget);
  std::mt19937 random(1);
  std::vector<std::uint32_t> held;
  std::set<std::uint32_t> unique;
  for (int step = 0; step < 50000; ++step) {
    if (held.empty() || random() % 5 < 3) {
      const std::uint32_t id = slab.take();
      ASSERT_TRUE(unique.insert(id).second);
      std::memcpy(slab.row(id), &id, sizeof id);
      held.push_back(id);
    } else {
      std::swap(held[random() % held.size()], held.back());
      std::uint32_t kept = 0;
      std::memcpy(&kept, slab.row(held.back()), sizeof kept);
      ASSERT_EQ(kept, held.back());
      slab.give_back(held.back());
      unique.erase(held.back());
      held.pop_back();
    }
    ASSERT_EQ(slab.live(), held.size());
  }
}

TEST(SlabTest, TakesNothingOnceTheBudgetIsSpent) {
  MemoryBudget probe(kAmple);
  Slab one(64, probe);
  one.take();
  MemoryBudget budget(one.memory());
  Slab slab(64, budget);
  std::uint32_t count = 0;
  while (slab.take() != kNone) ++count;
  EXPECT_EQ(count * 64, budget.used());
  EXPECT_FALSE(slab.has_free());
  slab.give_back(5);
  EXPECT_TRUE(slab.has_free());
  EXPECT_EQ(slab.take(), 5U);
}

TEST(SlabTest, ReturnsItsMemoryToTheBudget) {
  MemoryBudget budget(kAmple);
  {
    Slab slab(64, budget);
    slab.take();
    Slab moved(std::move(slab));
    EXPECT_EQ(moved.memory(), budget.used());
    Slab assigned(8, budget);
    assigned.take();
    assigned = std::move(moved);
    EXPECT_EQ(assigned.live(), 1U);
    EXPECT_EQ(assigned.row_size(), 64U);
  }
  EXPECT_EQ(budget.used(), 0U);
}

TEST(SlabTest, OtherRowsMayHaveTheSameIdsTakenAndFree) {
  MemoryBudget budget(kAmple);
  Slab slab(8, budget);
  for (int count = 0; count < 40000; ++count) slab.take();
  for (const std::uint32_t id : {5U, 39999U, 17U}) slab.give_back(id);
  Slab wider = slab.same_ids(200);
  for (std::uint32_t id = 0; id < slab.end(); ++id) std::memcpy(wider.row(id), slab.row(id), 8);
  EXPECT_EQ(wider.live(), slab.live());
  EXPECT_EQ(budget.used(), slab.memory() + wider.memory());
  for (const std::uint32_t id : {17U, 39999U, 5U, 40000U}) EXPECT_EQ(wider.take(), id);
}

// Rows of more than a chunk's usual size: long string keys.
TEST(SlabTest, HoldsRowsOfAnySize) {
  MemoryBudget budget(kAmple);
  Slab slab(100000, budget);
  for (std::uint32_t id = 0; id < 40; ++id) {
    ASSERT_EQ(slab.take(), id);
    std::memset(slab.row(id), static_cast<int>(id), slab.row_size());
  }
  for (std::uint32_t id = 0; id < 40; ++id) EXPECT_EQ(slab.row(id)[slab.row_size() - 1], std::byte(id));
}

}  // namespace
}  // namespace stickmesh::store
