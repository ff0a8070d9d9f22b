#include "agent/net/timer.h"

#include <vector>

#include "tests/unit/net/fixture.h"

namespace stickmesh::net {
namespace {

using namespace std::chrono_literals;

using TimerTest = LoopTest;

TEST_F(TimerTest, TimersFireInTheOrderOfTheirTimes) {
  std::vector<int> order;
  Timer third(loop, [&] { order.push_back(3); });
  Timer first(loop, [&] { order.push_back(1); });
  Timer second(loop, [&] { order.push_back(2); });
  third.set(loop.now() + 9ms);
  first.set(loop.now() + 1ms);
  second.set(loop.now() + 5ms);
  ASSERT_TRUE(run_until([&] { return order.size() == 3; }));
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST_F(TimerTest, ATimerNeverFiresBeforeItsTime) {
  for (int round = 0; round < 50; ++round) {
    bool fired = false;
    TimePoint at{};
    Timer timer(loop, [&] {
      fired = true;
      at = loop.now();
    });
    const TimePoint due = loop.now() + 2ms;
    timer.set(due);
    ASSERT_TRUE(run_until([&] { return fired; }));
    EXPECT_GE(at, due);
    EXPECT_FALSE(timer.active());
  }
}

TEST_F(TimerTest, ATimerSetAnewFiresAtTheNewTimeOnly) {
  int fired = 0;
  bool done = false;
  Timer timer(loop, [&] { ++fired; });
  Timer end(loop, [&] { done = true; });
  timer.set(loop.now() + 1h);
  timer.set(loop.now() + 1ms);
  end.set(loop.now() + 10ms);
  ASSERT_TRUE(run_until([&] { return done; }));
  EXPECT_EQ(fired, 1);
}

TEST_F(TimerTest, AStoppedTimerIsSilent) {
  bool fired = false;
  bool done = false;
  Timer timer(loop, [&] { fired = true; });
  Timer end(loop, [&] { done = true; });
  timer.set(loop.now() + 1ms);
  end.set(loop.now() + 5ms);
  timer.stop();
  EXPECT_FALSE(timer.active());
  ASSERT_TRUE(run_until([&] { return done; }));
  EXPECT_FALSE(fired);
}

}  // namespace
}  // namespace stickmesh::net
