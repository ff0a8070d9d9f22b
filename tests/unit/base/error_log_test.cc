#include "agent/base/error_log.h"

#include <gtest/gtest.h>

namespace stickmesh {
namespace {

constexpr TimePoint kStart{std::chrono::hours(5)};

TEST(ErrorLogTest, CountsByReasonAndKeepsTheNewest) {
  ErrorLog errors;
  for (int number = 0; number < 100; ++number) {
    errors.record({Reason::kBadKey, std::to_string(number)}, "table", kStart);
  }
  EXPECT_EQ(errors.count(Reason::kBadKey), 100U);
  EXPECT_EQ(errors.count(Reason::kBadMessage), 0U);
  ASSERT_EQ(errors.recent().size(), 64U);
  EXPECT_EQ(errors.recent().front().detail, "36");
  EXPECT_EQ(errors.recent().back().detail, "99");
}

TEST(ErrorLogTest, ManyAtOnceAreOneRecord) {
  ErrorLog errors;
  errors.record({Reason::kOverload, "late"}, "5000 SPOE events", kStart, 5000);
  EXPECT_EQ(errors.count(Reason::kOverload), 5000U);
  ASSERT_EQ(errors.recent().size(), 1U);
  EXPECT_EQ(errors.recent().front().where, "5000 SPOE events");
}

}  // namespace
}  // namespace stickmesh
