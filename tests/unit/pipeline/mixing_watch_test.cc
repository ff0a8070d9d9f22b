#include <gtest/gtest.h>

#include "instance.h"

namespace stickmesh::pipeline {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

void fill(Instance& instance, std::uint64_t factor) {
  for (std::uint32_t key = 1; key <= 40; ++key) {
    instance.push(1, kInput, "key" + std::to_string(key), key, {(100 + key) * factor});
  }
  instance.exchange(kStart);
}

TEST(MixingWatchTest, EqualCountersOfTwoInstancesOnManyKeysAreReportedOnce) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  Instance lb2(agent.hub, "lb2", 20, kStart);
  fill(lb1, 1);
  fill(lb2, 1);
  for (int second = 1; second <= 10; ++second) agent.hub.run(kStart + seconds(second));
  EXPECT_EQ(agent.errors.count(Reason::kSuspectedMixing), 1U);
  const std::string& detail = agent.errors.recent().back().detail;
  EXPECT_NE(detail.find("lb1 and lb2"), std::string::npos) << detail;
}

TEST(MixingWatchTest, InstancesThatCountApartAreNot) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  Instance lb2(agent.hub, "lb2", 20, kStart);
  fill(lb1, 1);
  fill(lb2, 2);
  for (int second = 1; second <= 10; ++second) agent.hub.run(kStart + seconds(second));
  EXPECT_EQ(agent.errors.count(Reason::kSuspectedMixing), 0U);
}

}  // namespace
}  // namespace stickmesh::pipeline
