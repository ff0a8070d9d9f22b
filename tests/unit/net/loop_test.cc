#include "agent/net/loop.h"

#include <stdexcept>
#include <vector>

#include "agent/net/io_watcher.h"
#include "tests/unit/net/fixture.h"

namespace stickmesh::net {
namespace {

using namespace std::chrono_literals;

struct Corpse {
  explicit Corpse(int& deaths) : deaths_(deaths) {}
  ~Corpse() { ++deaths_; }
  int& deaths_;
};

TEST_F(LoopTest, TheClockIsTheSteadyOneAndStandsStillWithinAWakeUp) {
  loop.refresh();
  const auto before = std::chrono::steady_clock::now();
  EXPECT_LE(loop.now(), before);
  EXPECT_LT(before - loop.now(), 1s);
  std::vector<TimePoint> seen;
  Timer first(loop, [&] {
    while (std::chrono::steady_clock::now() - loop.now() < 3ms) {
    }
    seen.push_back(loop.now());
  });
  Timer second(loop, [&] { seen.push_back(loop.now()); });
  first.set(loop.now());
  second.set(loop.now());
  ASSERT_TRUE(run_until([&] { return seen.size() == 2; }));
  EXPECT_EQ(seen[0], seen[1]);
}

TEST_F(LoopTest, RunReturnsWhenStoppedAndCanRunAgain) {
  int rounds = 0;
  Timer timer(loop, [&] {
    ++rounds;
    timer.set(loop.now());
    if (rounds % 3 == 0) loop.stop();
  });
  timer.set(loop.now());
  loop.run();
  EXPECT_EQ(rounds, 3);
  loop.run();
  EXPECT_EQ(rounds, 6);
}

TEST_F(LoopTest, RunReturnsWhenNothingIsLeftToWaitFor) {
  loop.run();
  SUCCEED();
}

TEST_F(LoopTest, DeferredWorkRunsOnceAtTheEndOfTheWakeUpHoweverOftenAsked) {
  std::vector<char> order;
  Deferred work(loop, [&] { order.push_back('w'); });
  Timer first(loop, [&] {
    order.push_back('1');
    work.schedule();
  });
  Timer second(loop, [&] {
    order.push_back('2');
    work.schedule();
  });
  first.set(loop.now() - 2ms);
  second.set(loop.now() - 1ms);
  ASSERT_TRUE(run_until([&] { return order.size() == 3; }));
  EXPECT_EQ(order.back(), 'w');
  EXPECT_FALSE(work.scheduled());
}

TEST_F(LoopTest, DeferredWorkThatDefersItselfLetsDescriptorsIn) {
  auto [near, far] = socket_pair();
  ASSERT_EQ(::write(far.get(), "x", 1), 1);
  int slices = 0;
  int slices_before_input = -1;
  Deferred work(loop, [&] {
    if (++slices < 10) work.schedule();
  });
  IoWatcher readable(loop, Ready::kToRead, [&] {
    slices_before_input = slices;
    readable.stop();
  });
  work.schedule();
  readable.start(near.get());
  ASSERT_TRUE(run_until([&] { return slices == 10; }));
  EXPECT_GE(slices_before_input, 0);
  EXPECT_LE(slices_before_input, 1);
}

TEST_F(LoopTest, CancelledOrDestroyedDeferredWorkDoesNotRun) {
  bool ran = false;
  Deferred cancelled(loop, [&] { ran = true; });
  auto destroyed = std::make_unique<Deferred>(loop, [&] { ran = true; });
  Deferred destroyer(loop, [&] { destroyed.reset(); });
  cancelled.schedule();
  cancelled.cancel();
  destroyer.schedule();
  destroyed->schedule();
  loop.run();
  EXPECT_FALSE(ran);
  EXPECT_EQ(destroyed, nullptr);
}

TEST_F(LoopTest, TheBuriedLiveUntilTheCallbacksHaveReturned) {
  int deaths = 0;
  int deaths_in_deferred = -1;
  auto object = std::make_unique<Corpse>(deaths);
  Deferred last(loop, [&] { deaths_in_deferred = deaths; });
  Timer timer(loop, [&] {
    loop.bury(std::move(object));
    last.schedule();
    EXPECT_EQ(deaths, 0);
  });
  timer.set(loop.now());
  ASSERT_TRUE(run_until([&] { return deaths == 1; }));
  EXPECT_EQ(deaths_in_deferred, 0);
}

TEST_F(LoopTest, TheBuriedMayBuryOthers) {
  struct Testator {
    Testator(Loop& owner, int& deaths) : loop_(owner), heir_(std::make_unique<Corpse>(deaths)) {}
    ~Testator() { loop_.bury(std::move(heir_)); }
    Loop& loop_;
    std::unique_ptr<Corpse> heir_;
  };
  int deaths = 0;
  loop.bury(std::make_unique<Testator>(loop, deaths));
  loop.run_once();
  EXPECT_EQ(deaths, 1);
}

TEST(LoopEndTest, TheGraveyardIsEmptiedWithTheLoop) {
  int deaths = 0;
  {
    Loop loop;
    loop.bury(std::make_unique<Corpse>(deaths));
  }
  EXPECT_EQ(deaths, 1);
}

TEST_F(LoopTest, AnExceptionEndsTheCallbackAndNotTheLoop) {
  bool later = false;
  Timer bad(loop, [] { throw std::runtime_error("as intended by the test"); });
  Timer good(loop, [&] { later = true; });
  bad.set(loop.now());
  good.set(loop.now() + 1ms);
  EXPECT_TRUE(run_until([&] { return later; }));
}

}  // namespace
}  // namespace stickmesh::net
