#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "instance.h"

namespace stickmesh::pipeline {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TableDefinition status_table() {
  TableDefinition definition = counter_table("/stickmesh");
  definition.key_size = 65;
  definition.expire = seconds(2);
  definition.types = {{DataType::kGpt0, 1, {}}, {DataType::kGpc0, 1, {}}, {DataType::kGpc1, 1, {}}};
  return definition;
}

class MarksTest : public ::testing::Test {
 protected:
  static HubSetup setup() {
    HubSetup setup = Agent::default_setup();
    setup.peers.resize(2);
    setup.wall_clock = [] { return std::chrono::system_clock::time_point(milliseconds(1'700'000'000'900)); };
    return setup;
  }
  static void announce(Instance& instance, TimePoint now) {
    instance.session().select(1, kInput);
    instance.session().select(2, kTotal);
    instance.session().select(3, status_table());
    instance.exchange(now);
  }
  static std::vector<Received> marks(const Instance& instance) {
    std::vector<Received> found;
    std::copy_if(instance.received.begin(), instance.received.end(), std::back_inserter(found),
                 [](const Received& had) { return had.table == "/stickmesh"; });
    return found;
  }
  Agent agent_{setup()};
};

TEST_F(MarksTest, ARowForEachTotalSaysUntilWhenAndWhoIsThere) {
  Instance lb1(agent_.hub, "lb1", 10, kStart);
  announce(lb1, kStart);
  lb1.push(1, kInput, "joe", 1, {5});
  lb1.exchange(kStart + milliseconds(600));
  ASSERT_FALSE(marks(lb1).empty());
  const Received mark = marks(lb1).back();
  EXPECT_EQ(mark.key, "http.total");
  EXPECT_EQ(mark.cells, (std::vector<std::uint64_t>{1'700'000'002, 1, 2})) << "lb2 is expected and away";
  EXPECT_TRUE(mark.timed);
  EXPECT_LE(mark.remaining, seconds(2));

  Instance lb2(agent_.hub, "lb2", 20, kStart + milliseconds(700));
  lb1.exchange(kStart + milliseconds(1200));
  EXPECT_EQ(marks(lb1).back().cells, (std::vector<std::uint64_t>{1'700'000'002, 2, 2}));
}

TEST_F(MarksTest, ThereIsOneEveryHalfSecond) {
  Instance lb1(agent_.hub, "lb1", 10, kStart);
  announce(lb1, kStart);
  const std::size_t before = marks(lb1).size();
  for (int step = 1; step <= 100; ++step) lb1.exchange(kStart + milliseconds(100) * step);
  EXPECT_EQ(marks(lb1).size() - before, 20U);
}

TEST_F(MarksTest, AnInstanceThatIsNotSynchronisedGetsNone) {
  Instance lb1(agent_.hub, "lb1", 10, kStart, "agent-1", /*complete=*/false);
  announce(lb1, kStart);
  lb1.exchange(kStart + milliseconds(600));
  EXPECT_TRUE(marks(lb1).empty());
  lb1.lesson_complete = true;
  lb1.exchange(kStart + milliseconds(1100));
  lb1.exchange(kStart + milliseconds(2000));
  EXPECT_FALSE(marks(lb1).empty());
}

TEST_F(MarksTest, ASilentOriginIsAbsentAfterFourSeconds) {
  Instance lb1(agent_.hub, "lb1", 10, kStart);
  Instance lb2(agent_.hub, "lb2", 20, kStart);
  announce(lb1, kStart);
  lb2.exchange(kStart);
  for (int step = 1; step <= 8; ++step) {
    const TimePoint now = kStart + milliseconds(500) * step;
    lb1.push(1, kInput, "joe", static_cast<std::uint32_t>(step), {5});  // lb1 is heard of, lb2 is not
    lb1.exchange(now);
  }
  EXPECT_EQ(marks(lb1).back().cells[1], 1U);
}

TEST_F(MarksTest, WhoDefinesATableDifferentlyIsAbsentFromItsTotal) {
  Instance lb1(agent_.hub, "lb1", 10, kStart);
  announce(lb1, kStart);
  Instance lb2(agent_.hub, "lb2", 20, kStart);
  TableDefinition other = kInput;
  other.key_size += 1;
  lb2.push(1, other, "joe", 1, {5});
  lb2.exchange(kStart + milliseconds(100));
  lb1.exchange(kStart + milliseconds(600));
  EXPECT_EQ(marks(lb1).back().cells[1], 1U);
  EXPECT_EQ(marks(lb1).back().cells[2], 2U) << "it is expected all the same";
}

TEST_F(MarksTest, MaintenanceTakesAnInstanceOutOfTheExpectedOnes) {
  Instance lb1(agent_.hub, "lb1", 10, kStart);
  announce(lb1, kStart);
  int saved = 0;
  agent_.hub.on_runtime_changed([&] {
    ++saved;
    return Result<void>();
  });
  ASSERT_TRUE(agent_.hub.set_maintenance("lb2", true).has_value());
  lb1.exchange(kStart + milliseconds(600));
  EXPECT_EQ(marks(lb1).back().cells, (std::vector<std::uint64_t>{1'700'000'002, 1, 1}));
  EXPECT_EQ(saved, 1);
  EXPECT_FALSE(agent_.hub.set_maintenance("lb9", true).has_value());
}

TEST_F(MarksTest, AStrangerIsExpectedUntilItIsForgotten) {
  HubSetup open = setup();
  open.accept_unknown = true;
  Agent agent(open);
  Instance(agent.hub, "web", 30, kStart).cut(kStart);
  Instance lb1(agent.hub, "lb1", 10, kStart);
  EXPECT_EQ(agent.hub.attendance(kStart).expected, 3U);
  EXPECT_FALSE(agent.hub.forget("lb2", kStart).has_value()) << "it is configured";
  EXPECT_TRUE(agent.hub.forget("web", kStart).has_value());
  EXPECT_EQ(agent.hub.attendance(kStart).expected, 2U);
  Instance(agent.hub, "web", 31, kStart).cut(kStart);
  lb1.exchange(kStart + std::chrono::minutes(9));
  EXPECT_EQ(agent.hub.attendance(kStart).expected, 3U);
  agent.hub.run(kStart + std::chrono::minutes(10));
  EXPECT_EQ(agent.hub.attendance(kStart).expected, 2U);
}

TEST_F(MarksTest, NamesThatComeAndGoMakeRoomForEachOther) {
  HubSetup open = setup();
  open.accept_unknown = true;
  Agent agent(open);
  for (std::uint64_t turn = 0; turn < 50; ++turn) {
    const std::string name = "web" + std::to_string(turn);
    Instance web(agent.hub, name, 30 + turn, kStart);
    ASSERT_TRUE(web.up()) << name;
    if (turn == 3) {
      web.push(1, kInput, "joe", 1, {7});
      web.exchange(kStart);
    }
    web.cut(kStart);
    ASSERT_TRUE(agent.hub.forget(name, kStart).has_value());
  }
  const store::Table& table = *agent.registry.find("http")->table;
  const store::ContributionId joe = table.first(table.find(as_bytes("joe")));
  EXPECT_EQ(agent.registry.origins()[table.origin(joe)].name, "web3") << "what it counted keeps its name";
}

TEST_F(MarksTest, AStatusTableThatKeepsItsRowsTooLongIsSaid) {
  Instance lb1(agent_.hub, "lb1", 10, kStart);
  TableDefinition status = status_table();
  status.expire = std::chrono::minutes(5);
  lb1.session().select(3, status);
  lb1.exchange(kStart);
  EXPECT_NE(agent_.peer("lb1").link->problems().find("expire 2s"), std::string::npos);
  EXPECT_EQ(agent_.errors.count(Reason::kDefinitionMismatch), 1U);
}

class BarrierTest : public MarksTest {
 protected:
  static HubSetup setup(const TimePoint& now) {
    HubSetup setup = MarksTest::setup();
    setup.wall_clock = [&now] { return std::chrono::system_clock::time_point(now.time_since_epoch()); };
    return setup;
  }
};

TEST_F(BarrierTest, AMarkNeverOvertakesTheDataThatItSpeaksOf) {
  TimePoint now = kStart;
  Agent agent(setup(now));
  Instance slow(agent.hub, "lb1", 10, now);
  Instance lb2(agent.hub, "lb2", 20, now);
  announce(slow, now);
  announce(lb2, now);
  // More than the agent encodes ahead for one receiver, and a key that changes all the time. The slow one
  // takes a little now and then.
  std::uint32_t id = 0;
  std::uint64_t value = 0;
  std::map<std::uint64_t, std::uint64_t> value_at;  // second of the agent's clock -> value at its beginning
  for (int round = 0; round < 40; ++round) {
    now += milliseconds(250);
    value_at.emplace(static_cast<std::uint64_t>(now.time_since_epoch().count() / 1000), value);
    lb2.push(1, kInput, "hot", ++id, {++value});
    for (int key = 0; key < 3000; ++key) lb2.push(1, kInput, "key" + std::to_string(key), ++id, {value});
    lb2.exchange(now);
    if (round % 5 == 4) slow.exchange(now);
  }
  std::uint64_t shown = 0;
  int judged = 0;
  for (const Received& had : slow.received) {
    if (had.key == "hot") shown = std::max(shown, had.cells[0]);
    if (had.table != "/stickmesh") continue;
    const auto at = value_at.find(had.cells[0] - 2);
    if (at == value_at.end()) continue;
    EXPECT_GE(shown, at->second) << "a mark until " << had.cells[0];
    ++judged;
  }
  EXPECT_GT(judged, 3);
  EXPECT_EQ(shown, value);
}

TEST_F(BarrierTest, AMarkThatIsTooOldIsNotSent) {
  Instance slow(agent_.hub, "lb1", 10, kStart);
  Instance lb2(agent_.hub, "lb2", 20, kStart);
  announce(slow, kStart);
  announce(lb2, kStart);
  lb2.push(1, kInput, "joe", 1, {5});
  lb2.exchange(kStart + milliseconds(600));
  const std::size_t before = marks(slow).size();
  slow.exchange(kStart + seconds(9));
  for (const Received& mark : marks(slow)) EXPECT_GT(mark.remaining, Duration(0));
  EXPECT_GE(marks(slow).size(), before);
}

TEST_F(BarrierTest, WhatHadArrivedAndWasNotReadHoldsTheMarkBack) {
  Instance lb1(agent_.hub, "lb1", 10, kStart);
  announce(lb1, kStart);
  lb1.exchange(kStart + milliseconds(600));
  const std::size_t before = marks(lb1).size();
  std::size_t unread = 100;
  agent_.peer("lb1").link->set_unread([&] { return unread; });
  agent_.hub.run(kStart + milliseconds(1200));
  agent_.hub.run(kStart + milliseconds(1300));
  lb1.exchange(kStart + milliseconds(1400));
  EXPECT_EQ(marks(lb1).size(), before) << "100 bytes had arrived at the barrier's time and are not taken yet";
  unread = 0;
  for (std::uint32_t id = 1; id <= 10; ++id) lb1.push(1, kInput, "joe", id, {id});
  lb1.exchange(kStart + milliseconds(1450));
  EXPECT_GT(marks(lb1).size(), before);
}

// Below TLS 100 bytes become fewer, and no more may follow for seconds.
TEST_F(BarrierTest, OnceNothingIsUnreadAllHasCome) {
  Instance lb1(agent_.hub, "lb1", 10, kStart);
  announce(lb1, kStart);
  lb1.exchange(kStart + milliseconds(600));
  const std::size_t before = marks(lb1).size();
  std::size_t unread = 100;
  agent_.peer("lb1").link->set_unread([&] { return unread; });
  agent_.hub.run(kStart + milliseconds(1200));
  unread = 0;
  lb1.exchange(kStart + milliseconds(1300));
  EXPECT_GT(marks(lb1).size(), before);
}

}  // namespace
}  // namespace stickmesh::pipeline
