#include "agent/base/recent_times.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace stickmesh {
namespace {

using Microseconds = RecentTimes::Microseconds;
using std::chrono::seconds;

constexpr TimePoint kBegin{std::chrono::hours(5)};

TEST(RecentTimesTest, NothingAtFirst) {
  const RecentTimes::Summary summary = RecentTimes().summary(kBegin);
  EXPECT_EQ(summary.count, 0U);
  EXPECT_EQ(summary.per_second, 0U);
  EXPECT_EQ(summary.p99, Microseconds(0));
  EXPECT_EQ(summary.max, Microseconds(0));
}

TEST(RecentTimesTest, QuantilesAreExactToASixteenth) {
  RecentTimes times;
  for (int took = 1; took <= 10'000; ++took) times.add(Microseconds(took), 1, kBegin);
  const RecentTimes::Summary summary = times.summary(kBegin + seconds(4));
  EXPECT_EQ(summary.count, 10'000U);
  EXPECT_EQ(summary.per_second, 2500U);
  EXPECT_GE(summary.p50, Microseconds(5000));
  EXPECT_LE(summary.p50, Microseconds(5000 + 5000 / 16));
  EXPECT_GE(summary.p99, Microseconds(9900));
  EXPECT_LE(summary.p99, Microseconds(10'000)) << "never above the largest";
  EXPECT_EQ(summary.max, Microseconds(10'000));
}

TEST(RecentTimesTest, EverySingleTimeIsFoundInItsBucket) {
  for (std::int64_t took = 0; took < std::int64_t{1} << 40; took = took * 17 / 16 + 1) {
    RecentTimes times;
    times.add(Microseconds(took), 3, kBegin);
    times.add(Microseconds(took * 4 + 100), 1, kBegin);
    const auto found = times.summary(kBegin).p50.count();
    if (took < std::int64_t{1} << 26) {
      ASSERT_GE(found, took);
      ASSERT_LE(found, took + took / 16);
    }
  }
}

TEST(RecentTimesTest, AFewSlowOnesAmongManyAreSeen) {
  RecentTimes times;
  times.add(Microseconds(7), 980, kBegin);
  times.add(Microseconds(3000), 20, kBegin);
  const RecentTimes::Summary summary = times.summary(kBegin);
  EXPECT_EQ(summary.p50, Microseconds(7));
  EXPECT_EQ(summary.p99, Microseconds(3000));
}

TEST(RecentTimesTest, OldOnesAreForgotten) {
  RecentTimes times;
  times.add(Microseconds(9000), 10, kBegin);
  times.add(Microseconds(5), 10, kBegin + seconds(11));
  EXPECT_EQ(times.summary(kBegin + seconds(15)).max, Microseconds(9000));
  EXPECT_EQ(times.summary(kBegin + seconds(15)).count, 20U);
  EXPECT_EQ(times.summary(kBegin + seconds(22)).max, Microseconds(5)) << "asking moves time on, too";
  EXPECT_EQ(times.summary(kBegin + seconds(60)).count, 0U);
}

}  // namespace
}  // namespace stickmesh
