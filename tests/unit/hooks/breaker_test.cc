#include "agent/hooks/breaker.h"

#include <gtest/gtest.h>

namespace stickmesh::hooks {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{Duration(1000)};

TEST(BreakerTest, FiftyErrorsWithinTenSecondsBypass) {
  Breaker breaker;
  for (int number = 1; number < 50; ++number) EXPECT_FALSE(breaker.failed(/*overrun=*/false, kStart));
  EXPECT_TRUE(breaker.allows(kStart));
  EXPECT_TRUE(breaker.failed(/*overrun=*/false, kStart + 10s));
  EXPECT_FALSE(breaker.allows(kStart + 10s));
  EXPECT_EQ(breaker.left(kStart + 10s), 30s);
  EXPECT_FALSE(breaker.allows(kStart + 39'999ms));
  EXPECT_TRUE(breaker.allows(kStart + 40s));
}

TEST(BreakerTest, FiveOverrunsDo) {
  Breaker breaker;
  for (int number = 1; number < 5; ++number) EXPECT_FALSE(breaker.failed(/*overrun=*/true, kStart));
  EXPECT_TRUE(breaker.failed(/*overrun=*/true, kStart));
}

TEST(BreakerTest, FewErrorsOverALongTimeDoNot) {
  Breaker breaker;
  for (int number = 0; number < 1000; ++number) {
    EXPECT_FALSE(breaker.failed(/*overrun=*/false, kStart + number * 1s));
  }
}

TEST(BreakerTest, ErrorsAmongManyGoodCallsDoNot) {
  Breaker breaker;
  for (int number = 0; number < 1000; ++number) {
    breaker.succeeded(kStart);
    EXPECT_FALSE(breaker.failed(/*overrun=*/false, kStart));
  }
}

TEST(BreakerTest, TheFirstCallAfterItDecides) {
  Breaker breaker;
  for (int number = 0; number < 5; ++number) breaker.failed(/*overrun=*/true, kStart);
  EXPECT_TRUE(breaker.failed(/*overrun=*/false, kStart + 30s));
  EXPECT_FALSE(breaker.allows(kStart + 59s));
  breaker.succeeded(kStart + 60s);
  EXPECT_FALSE(breaker.failed(/*overrun=*/false, kStart + 60s));
}

}  // namespace
}  // namespace stickmesh::hooks
