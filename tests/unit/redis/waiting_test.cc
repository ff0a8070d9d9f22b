#include "agent/redis/waiting.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace stickmesh::redis {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> all(Waiting<int, std::string>& waiting) {
  std::vector<std::string> taken;
  while (!waiting.empty()) {
    const auto [key, value] = waiting.take();
    taken.push_back(std::to_string(key) + value);
  }
  return taken;
}

TEST(WaitingTest, EachIsTakenOnceInTheOrderInWhichItCame) {
  Waiting<int, std::string> waiting;
  EXPECT_TRUE(waiting.empty());
  for (const int key : {7, 3, 5, 7, 3, 7}) waiting.add(key) += "x";
  EXPECT_EQ(waiting.size(), 3U);
  EXPECT_THAT(all(waiting), ElementsAre("7xxx", "3xx", "5x"));
  EXPECT_EQ(waiting.size(), 0U);
}

TEST(WaitingTest, WhatComesBackIsTheLast) {
  Waiting<int, std::string> waiting;
  for (const int key : {1, 2, 3}) waiting.add(key) = "a";
  EXPECT_EQ(waiting.take().first, 1);
  waiting.add(1) += "b";
  EXPECT_THAT(all(waiting), ElementsAre("2a", "3a", "1b")) << "nothing is known of it from before";
}

}  // namespace
}  // namespace stickmesh::redis
