#include "agent/store/wheel.h"

#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <random>
#include <utility>
#include <vector>

namespace stickmesh::store {
namespace {

constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();

TimePoint at(std::int64_t ms) {
  return TimePoint(Duration(ms));
}

class WheelTest : public testing::Test {
 protected:
  std::vector<std::uint32_t> advance(Wheel& wheel, std::int64_t ms) {
    std::vector<std::uint32_t> due;
    EXPECT_TRUE(wheel.advance(at(ms), kAll, [&](std::uint32_t id) { due.push_back(id); }));
    return due;
  }

  MemoryBudget budget_{std::size_t{1} << 26U};
};

using Ids = std::vector<std::uint32_t>;

TEST_F(WheelTest, ARowComesUpOnceWithinOneStepOfItsTimeAndNeverBefore) {
  Wheel wheel(Duration(10), at(1000), budget_);
  wheel.add(0, at(1055));
  EXPECT_EQ(advance(wheel, 1054), Ids{});
  EXPECT_EQ(advance(wheel, 1055), Ids{});
  EXPECT_EQ(advance(wheel, 1065), Ids{0});
  EXPECT_EQ(advance(wheel, 500000), Ids{});
}

TEST_F(WheelTest, WhatIsOverdueComesUpWithTheNextStep) {
  Wheel wheel(Duration(1), at(1000), budget_);
  wheel.add(3, at(10));
  EXPECT_EQ(advance(wheel, 1000), Ids{});
  EXPECT_EQ(advance(wheel, 1001), Ids{3});
}

TEST_F(WheelTest, SchedulingLaterLeavesTheRowAtItsOldTime) {
  Wheel wheel(Duration(1), at(0), budget_);
  wheel.add(0, at(50));
  wheel.schedule(0, at(90));
  EXPECT_EQ(advance(wheel, 51), Ids{0});
  wheel.schedule(0, at(90));
  EXPECT_EQ(advance(wheel, 90), Ids{});
  EXPECT_EQ(advance(wheel, 91), Ids{0});
}

TEST_F(WheelTest, SchedulingEarlierTakesEffect) {
  Wheel wheel(Duration(1), at(0), budget_);
  wheel.add(0, at(5000));
  wheel.schedule(0, at(20));
  EXPECT_EQ(advance(wheel, 21), Ids{0});
  EXPECT_EQ(advance(wheel, 9000), Ids{});
}

TEST_F(WheelTest, MovingGoesEitherWay) {
  Wheel wheel(Duration(1), at(0), budget_);
  wheel.add(0, at(50));
  wheel.add(1, at(50));
  wheel.move(0, at(80));
  wheel.move(1, at(10));
  EXPECT_EQ(advance(wheel, 60), Ids{1});
  EXPECT_EQ(advance(wheel, 81), Ids{0});
}

TEST_F(WheelTest, WhatLiesBeyondTheRingWaitsForItsTurn) {
  Wheel wheel(Duration(1), at(0), budget_);
  const std::int64_t turn = wheel.horizon().count() + 1;
  wheel.add(0, at(7));
  wheel.add(1, at(turn + 7));
  wheel.add(2, at(5 * turn + 7));
  EXPECT_EQ(advance(wheel, turn), Ids{0});
  EXPECT_EQ(advance(wheel, turn + 7), Ids{});
  EXPECT_EQ(advance(wheel, turn + 8), Ids{1});
  EXPECT_EQ(advance(wheel, 5 * turn + 7), Ids{});
  EXPECT_EQ(advance(wheel, 5 * turn + 8), Ids{2});
}

TEST_F(WheelTest, WhatIsDueComesUpFromBetweenRowsOfLaterTurns) {
  Wheel wheel(Duration(1), at(0), budget_);
  const std::int64_t turn = wheel.horizon().count() + 1;
  for (std::uint32_t id = 0; id < 300; ++id) wheel.add(id, at(7 + (id % 3) * turn));
  std::vector<int> seen(300);
  std::uint32_t first = kNone;
  const auto see = [&](std::uint32_t id) {
    ++seen[id];
    if (std::exchange(first, first == kNone ? id : first) != kNone) return;
    wheel.remove((first + 150) % 300);
    wheel.move(first + 1, at(7 + 2 * turn));
  };
  while (!wheel.advance(at(8), 7, see)) {
  }
  for (std::uint32_t id = 0; id < 300; ++id) {
    EXPECT_EQ(seen[id], id % 3 == 0 && id != (first + 150) % 300 ? 1 : 0) << id;
  }
  EXPECT_EQ(advance(wheel, turn + 8).size(), 99U);
  EXPECT_EQ(advance(wheel, 2 * turn + 8).size(), 101U);
}

TEST_F(WheelTest, AJumpOfTheClockPastTheRingMissesNothing) {
  Wheel wheel(Duration(1), at(0), budget_);
  const std::int64_t turn = wheel.horizon().count() + 1;
  for (std::uint32_t id = 0; id < 3000; ++id) wheel.add(id, at(std::int64_t{id} * 7));
  wheel.add(3000, at(40 * turn));
  EXPECT_EQ(advance(wheel, 30 * turn).size(), 3000U);
  EXPECT_EQ(advance(wheel, 40 * turn + 1), Ids{3000});
}

TEST_F(WheelTest, AJumpTakenInSlicesMissesNothing) {
  Wheel wheel(Duration(1), at(0), budget_);
  const std::int64_t turn = wheel.horizon().count() + 1;
  for (std::uint32_t id = 0; id < 2000; ++id) wheel.add(id, at(std::int64_t{id} * 3));
  std::size_t seen = 0;
  std::int64_t now = 10 * turn;
  while (!wheel.advance(at(now), 17, [&](std::uint32_t) { ++seen; })) now += 3 * turn;
  EXPECT_EQ(seen, 2000U);
}

TEST_F(WheelTest, ASliceEndsAtItsLimitAndTheNextGoesOn) {
  Wheel wheel(Duration(1), at(0), budget_);
  for (std::uint32_t id = 0; id < 10; ++id) wheel.add(id, at(5));
  std::size_t seen = 0;
  const auto count = [&](std::uint32_t) { ++seen; };
  EXPECT_FALSE(wheel.advance(at(100), 0, count));
  EXPECT_FALSE(wheel.advance(at(100), 4, count));
  EXPECT_EQ(seen, 4U);
  EXPECT_TRUE(wheel.advance(at(100), 6, count));
  EXPECT_EQ(seen, 10U);
}

TEST_F(WheelTest, ACallbackMayRemoveAndRescheduleAnyRow) {
  Wheel wheel(Duration(1), at(0), budget_);
  for (std::uint32_t id = 0; id < 6; ++id) wheel.add(id, at(10));
  Ids seen;
  wheel.advance(at(11), kAll, [&](std::uint32_t id) {
    seen.push_back(id);
    wheel.remove(id);      // already out: no effect
    wheel.remove(id ^ 1);  // its partner never comes up
    wheel.add(id, at(200));
  });
  EXPECT_EQ(seen.size(), 3U);
  EXPECT_EQ(advance(wheel, 200), Ids{});
  EXPECT_EQ(advance(wheel, 201).size(), 3U);
}

TEST_F(WheelTest, RemovedRowsStayAwayAndMayReturn) {
  Wheel wheel(Duration(1), at(0), budget_);
  for (std::uint32_t id = 0; id < 3; ++id) wheel.add(id, at(10));
  wheel.remove(1);
  wheel.remove(1);
  wheel.remove(1000);  // never added
  EXPECT_EQ(advance(wheel, 11).size(), 2U);
  wheel.add(1, at(20));
  EXPECT_EQ(advance(wheel, 30), Ids{1});
}

TEST_F(WheelTest, TellsTheSoonestFirst) {
  Wheel wheel(Duration(1), at(0), budget_);
  for (std::uint32_t id = 0; id < 100; ++id) wheel.add(id, at(1000 - std::int64_t{id}));
  Ids seen;
  wheel.soonest(5, [&](std::uint32_t id) {
    seen.push_back(id);
    return true;
  });
  EXPECT_EQ(seen, (Ids{99, 98, 97, 96, 95}));
  seen.clear();
  wheel.soonest(5, [&](std::uint32_t id) {
    seen.push_back(id);
    return false;
  });
  EXPECT_EQ(seen, Ids{99});
}

TEST_F(WheelTest, RefusesARowForWhichThereIsNoMemory) {
  MemoryBudget none(0);
  Wheel wheel(Duration(1), at(0), none);
  EXPECT_FALSE(wheel.add(0, at(10)));
  EXPECT_EQ(advance(wheel, 100), Ids{});
}

// Against a plain map of true times, with an owner who schedules again what comes up too early.
TEST_F(WheelTest, AgreesWithASortedMapUnderRandomUse) {
  for (const unsigned seed : {1U, 2U, 3U}) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    constexpr std::int64_t kStep = 3;
    std::int64_t now = 12345;
    Wheel wheel(Duration(kStep), at(now), budget_);
    std::map<std::uint32_t, std::int64_t> due;
    for (int step = 0; step < 30000; ++step) {
      const auto id = static_cast<std::uint32_t>(random() % 500);
      const std::int64_t when =
          now + static_cast<std::int64_t>(random() % (random() % 10 == 0 ? 60000 : 900));
      switch (random() % 4) {
        case 0:
          wheel.add(id, at(when));
          due[id] = when;
          break;
        case 1:
          if (due.contains(id)) {
            wheel.schedule(id, at(when));
            due[id] = when;
          }
          break;
        case 2:
          wheel.remove(id);
          due.erase(id);
          break;
        default:
          now += static_cast<std::int64_t>(random() % (random() % 500 == 0 ? 50000 : 30));
          while (!wheel.advance(at(now), 1 + random() % 20, [&](std::uint32_t up) {
            ASSERT_TRUE(due.contains(up));
            if (due[up] > now) {
              wheel.move(up, at(due[up]));
            } else {
              due.erase(up);
            }
          })) {
          }
          ASSERT_EQ(wheel.scheduled(), due.size());
          for (const auto& [row, time] : due) ASSERT_GE(time / kStep, now / kStep) << "row " << row;
      }
    }
  }
}

}  // namespace
}  // namespace stickmesh::store
