#include "agent/store/string_pool.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace stickmesh::store {
namespace {

TEST(StringPoolTest, KeepsATextOnceHoweverOftenItIsUsed) {
  StringPool pool;
  const std::uint32_t srv1 = pool.acquire("srv1");
  const std::uint32_t srv2 = pool.acquire("srv2");
  EXPECT_NE(srv1, 0U);
  EXPECT_NE(srv1, srv2);
  EXPECT_EQ(pool.acquire("srv1"), srv1);
  EXPECT_EQ(pool.text(srv1), "srv1");
  EXPECT_EQ(pool.text(srv2), "srv2");
}

TEST(StringPoolTest, ForgetsATextWithItsLastUse) {
  StringPool pool;
  const std::uint32_t id = pool.acquire("srv1");
  pool.acquire(id);
  pool.release(id);
  EXPECT_EQ(pool.text(id), "srv1");
  pool.release(id);
  EXPECT_EQ(pool.text(id), "");
  EXPECT_EQ(pool.acquire("srv2"), id);
  EXPECT_NE(pool.acquire("srv1"), id);
}

TEST(StringPoolTest, IdZeroIsNoText) {
  StringPool pool;
  EXPECT_EQ(pool.text(0), "");
  pool.acquire(0U);
  pool.release(0);
  pool.release(0);
  EXPECT_EQ(pool.text(0), "");
  EXPECT_NE(pool.acquire("srv1"), 0U);
}

TEST(StringPoolTest, AgreesWithAMapOfUseCounts) {
  std::mt19937 random(1);
  StringPool pool;
  std::map<std::string, std::pair<std::uint32_t, int>> oracle;
  for (int step = 0; step < 20000; ++step) {
    const std::string text = "server-with-a-long-name-" + std::to_string(random() % 40);
    auto& [id, uses] = oracle[text];
    if (random() % 2 == 0) {
      const std::uint32_t given = pool.acquire(text);
      if (uses > 0) {
        ASSERT_EQ(given, id);
      }
      id = given;
      ++uses;
    } else if (uses > 0) {
      pool.release(id);
      --uses;
    }
    for (const auto& [known, use] : oracle) {
      if (use.second > 0) {
        ASSERT_EQ(pool.text(use.first), known);
      }
    }
    ASSERT_LE(id, 40U);  // ids are used again
  }
}

}  // namespace
}  // namespace stickmesh::store
