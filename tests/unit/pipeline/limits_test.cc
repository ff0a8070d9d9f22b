#include "agent/pipeline/limits.h"

#include <gtest/gtest.h>

#include "instance.h"

namespace stickmesh::pipeline {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::vector<Limit> two_limits() {
  return {{"api", "http", DataType::kHttpReqRate, {100, false}},
          {"login", "logins", DataType::kGpc0Rate, {5, true}}};
}

TEST(LimitsTest, TheNewestChangeHolds) {
  Limits limits(two_limits());
  EXPECT_EQ(limits.find("none"), nullptr);
  EXPECT_FALSE(limits.change("none", LimitValue{1, false}, 10));
  EXPECT_TRUE(limits.change("api", LimitValue{200, true}, 10));
  EXPECT_FALSE(limits.change("api", LimitValue{300, false}, 10));
  EXPECT_FALSE(limits.change("api", LimitValue{300, false}, 9));
  EXPECT_EQ(limits.find("api")->value(), (LimitValue{200, true}));
  EXPECT_EQ(limits.find("api")->configured, (LimitValue{100, false}));
  EXPECT_FALSE(limits.change("api", LimitValue{300, false}, ~std::uint64_t{0})) << "nothing could follow it";
  EXPECT_EQ(limits.changes(), 1U);
  EXPECT_TRUE(limits.change("api", std::nullopt, 11));
  EXPECT_EQ(limits.find("api")->value(), (LimitValue{100, false}));
  EXPECT_EQ(limits.find("api")->changed_at, 11U);
}

TEST(LimitsTest, TheDigestIsOfTheConfigAlone) {
  std::vector<Limit> reversed = two_limits();
  std::swap(reversed[0], reversed[1]);
  Limits limits(two_limits());
  EXPECT_EQ(limits.digest(), Limits(reversed).digest()) << "the order means nothing";
  EXPECT_NE(limits.digest(), 0U);
  EXPECT_EQ(Limits({}).digest(), 0U);
  const std::uint64_t before = limits.digest();
  limits.change("api", LimitValue{200, true}, 10);
  EXPECT_EQ(limits.digest(), before);
  std::vector<Limit> other = two_limits();
  other[1].configured.above = 6;
  EXPECT_NE(Limits(other).digest(), before);
}

class PublishedLimitsTest : public ::testing::Test {
 protected:
  static HubSetup setup() {
    HubSetup setup = Agent::default_setup();
    setup.peers.resize(1);
    setup.limits = two_limits();
    setup.wall_clock = [] { return std::chrono::system_clock::time_point(milliseconds(1'700'000'000'900)); };
    return setup;
  }
  static TableDefinition limits_table(Duration expire = seconds(2)) {
    TableDefinition definition = counter_table("/limits");
    definition.key_size = 65;
    definition.expire = expire;
    definition.types = {{DataType::kGpt0, 1, {}}, {DataType::kGpc0, 1, {}}};
    return definition;
  }
  /// What the instance was last sent, by key.
  static std::map<std::string, std::vector<std::uint64_t>> rows(const Instance& instance) {
    std::map<std::string, std::vector<std::uint64_t>> found;
    for (const Received& had : instance.received) {
      if (had.table == "/limits") found[had.key] = had.cells;
    }
    return found;
  }

  Agent agent_{setup()};
};

TEST_F(PublishedLimitsTest, EveryInstanceThatHasTheTableGetsThemAndTheirChanges) {
  Instance lb1(agent_.hub, "lb1", 10, kStart);
  lb1.session().select(1, limits_table());
  lb1.exchange(kStart);
  lb1.exchange(kStart + milliseconds(600));
  using Rows = std::map<std::string, std::vector<std::uint64_t>>;
  EXPECT_EQ(rows(lb1), (Rows{{"api", {100, 0}}, {"login", {5, 1}}}));
  EXPECT_TRUE(lb1.received.back().timed);
  EXPECT_LE(lb1.received.back().remaining, seconds(2));

  int saved = 0;
  agent_.hub.on_runtime_changed([&saved] {
    ++saved;
    return Result<void>();
  });
  ASSERT_TRUE(agent_.hub.set_limit("api", LimitValue{200, true}));
  lb1.exchange(kStart + milliseconds(1200));
  EXPECT_EQ(rows(lb1), (Rows{{"api", {200, 1}}, {"login", {5, 1}}}));
  ASSERT_TRUE(agent_.hub.set_limit("api", std::nullopt)) << "in the same millisecond";
  lb1.exchange(kStart + milliseconds(1800));
  EXPECT_EQ(rows(lb1)["api"], (std::vector<std::uint64_t>{100, 0}));
  EXPECT_EQ(saved, 2);

  const auto unknown = agent_.hub.set_limit("none", LimitValue{1, false});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().detail, "there is no [[limit]] name = \"none\" in stickmesh.toml");
}

TEST_F(PublishedLimitsTest, ATableThatKeepsThemIsNamed) {
  Instance lb1(agent_.hub, "lb1", 10, kStart);
  lb1.session().select(1, limits_table(std::chrono::minutes(10)));
  lb1.exchange(kStart);
  EXPECT_NE(agent_.peer("lb1").link->problems().find("limits"), std::string::npos);
}

}  // namespace
}  // namespace stickmesh::pipeline
