#include <fmt/format.h>

#include "tests/unit/allocations.h"
#include "tests/unit/events/line_fixture.h"

namespace stickmesh::events {
namespace {

TEST_F(LineSessionTest, LinesNeedNoMemoryInTheLongRun) {
  declare("login", {{DataType::kGpc0, 1, {}}, {DataType::kGpc0Rate, 1, Duration(60'000)}});
  std::string batch;
  for (int key = 1; key <= 40; ++key) {
    batch += fmt::format("track login a%20key%20too%20long%20to%20be%20kept%20{} gpc0=1 gpc0_rate=1\n", key);
  }
  std::size_t before = 0;
  for (int round = 0; round < 100; ++round) {
    if (round == 50) before = allocations;
    now_ += Duration(50);
    ASSERT_TRUE(say(std::string_view(batch).substr(0, 1000)));
    ASSERT_TRUE(say(std::string_view(batch).substr(1000)));
    if (round < 50) agent_.hub.run(now_);
  }
  EXPECT_EQ(allocations - before, 0U);
  EXPECT_EQ(counter_.counters().counted, 4000U);
}

}  // namespace
}  // namespace stickmesh::events
