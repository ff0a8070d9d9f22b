#include "agent/config/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace stickmesh::config {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(UnitsTest, ReadsTimesInEveryUnit) {
  EXPECT_EQ(parse_duration("20ms"), Duration(20ms));
  EXPECT_EQ(parse_duration("10s"), Duration(10s));
  EXPECT_EQ(parse_duration("10m"), Duration(10min));
  EXPECT_EQ(parse_duration("1h"), Duration(1h));
  EXPECT_EQ(parse_duration("2d"), Duration(48h));
  EXPECT_EQ(parse_duration("0"), Duration(0));
  EXPECT_EQ(parse_duration("0s"), Duration(0));
  EXPECT_EQ(parse_duration("2000us"), Duration(2ms));
  EXPECT_EQ(parse_duration("2147483647ms"), Duration(2'147'483'647));
}

TEST(UnitsTest, TellsWhatIsWrongWithATime) {
  EXPECT_EQ(parse_duration("10").error(), R"("10": has no unit; write "10s" or "10ms")");
  EXPECT_THAT(parse_duration("500us").error(), HasSubstr("whole milliseconds"));
  EXPECT_THAT(parse_duration("2147483648ms").error(), HasSubstr("longer than 2147483647 ms"));
  EXPECT_THAT(parse_duration("25d").error(), HasSubstr("longer than"));
  EXPECT_THAT(parse_duration("18446744073709551615d").error(), HasSubstr("longer than"));
  for (const std::string_view text : {"", "s", "-1s", "+1s", "1.5s", " 1s", "1s ", "1 s", "1S", "1sec",
                                      "1m30s", "18446744073709551616s", "0x10s", "1e3s"}) {
    ASSERT_FALSE(parse_duration(text)) << text;
    EXPECT_THAT(parse_duration(text).error(), HasSubstr(R"("20ms")")) << text;
  }
}

TEST(UnitsTest, ReadsHaproxysTimesAsHaproxyDoes) {
  EXPECT_EQ(parse_haproxy_time("10"), Duration(10ms));
  EXPECT_EQ(parse_haproxy_time("0"), Duration(0));
  EXPECT_EQ(parse_haproxy_time("500us"), Duration(1ms));
  EXPECT_EQ(parse_haproxy_time("1500us"), Duration(2ms));
  EXPECT_EQ(parse_haproxy_time("24d"), Duration(24 * 24h));
  EXPECT_FALSE(parse_haproxy_time("25d"));
  EXPECT_FALSE(parse_haproxy_time("10x"));
  EXPECT_FALSE(parse_haproxy_time("-5"));
  EXPECT_FALSE(parse_haproxy_time(""));
}

TEST(UnitsTest, ReadsSizes) {
  EXPECT_EQ(parse_size("16MiB"), 16U << 20U);
  EXPECT_EQ(parse_size("1GiB"), 1U << 30U);
  EXPECT_EQ(parse_size("2TiB"), std::uint64_t{2} << 40U);
  EXPECT_EQ(parse_size("64k"), 65536U);
  EXPECT_EQ(parse_size("64K"), 65536U);
  EXPECT_EQ(parse_size("1m"), 1U << 20U);
  EXPECT_EQ(parse_size("1G"), 1U << 30U);
  EXPECT_EQ(parse_size("1048576"), 1048576U);
  EXPECT_EQ(parse_size("0"), 0U);
  EXPECT_EQ(parse_size("18446744073709551615"), std::numeric_limits<std::uint64_t>::max());
}

TEST(UnitsTest, TellsWhatIsWrongWithASize) {
  for (const std::string_view text : {"", "MiB", "1MB", "1kB", "1mib", "1.5k", "-1", "1 k", "1kk"}) {
    ASSERT_FALSE(parse_size(text)) << text;
    EXPECT_THAT(parse_size(text).error(), HasSubstr("16MiB")) << text;
  }
  EXPECT_THAT(parse_size("18446744073709551615k").error(), HasSubstr("64 bits"));
}

TEST(UnitsTest, ReadsHaproxysTableSizes) {
  EXPECT_EQ(parse_haproxy_size("100k"), 102400U);
  EXPECT_EQ(parse_haproxy_size("1M"), 1U << 20U);
  EXPECT_EQ(parse_haproxy_size("3g"), std::uint64_t{3} << 30U);
  EXPECT_EQ(parse_haproxy_size("4294967295"), 4294967295U);
  for (const std::string_view text :
       {"", "0", "0k", "5g", "1t", "10kb", "1KiB", "4294967296", "-1", "1.5k"}) {
    EXPECT_FALSE(parse_haproxy_size(text)) << text;
  }
}

TEST(UnitsTest, WritesSizesInTheLargestExactUnit) {
  EXPECT_EQ(describe_size(0), "0");
  EXPECT_EQ(describe_size(1000), "1000");
  EXPECT_EQ(describe_size(1536 * 1024), "1536KiB");
  EXPECT_EQ(describe_size(std::uint64_t{1} << 30U), "1GiB");
  EXPECT_EQ(describe_size(std::uint64_t{1} << 50U), "1024TiB");
}

}  // namespace
}  // namespace stickmesh::config
