#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/mesh/fleet.h"

namespace stickmesh::mesh {
namespace {

using std::chrono::seconds;
using testing::IsEmpty;

class MeshTest : public testing::Test {
 protected:
  static void agree(Fleet& fleet) {
    EXPECT_TRUE(fleet.wait_for([&] { return fleet.disagreements().empty(); }));
    EXPECT_THAT(fleet.disagreements(), IsEmpty());
  }
  /// The mark at |origin| is one that was taken now, by somebody.
  static bool current(Fleet& fleet, std::size_t origin) {
    const Origin::Mark& mark = fleet.origin(origin)->mark();
    return mark.until != 0 && fleet.now() - mark.came < Duration(2000);
  }
  /// How many updates came from |other| in the session that is.
  static std::uint64_t told(Fleet& fleet, std::size_t agent, std::string_view other) {
    return fleet.agent(agent)->peer(other).link->session().traffic().updates_in;
  }
  /// There is a total to speak of, and both first instances have a mark of it.
  static void reach_marks(Fleet& fleet) {
    fleet.origin(0)->count("somebody", 1);
    EXPECT_TRUE(fleet.wait_for([&] { return current(fleet, 0) && current(fleet, 1); }));
  }
};

TEST_F(MeshTest, WhatInstancesOfTwoAgentsCountAddsUpAtBoth) {
  Fleet fleet(2, {{0}, {1}});
  fleet.advance(seconds(1));
  fleet.origin(0)->count("mallory", 20);
  fleet.origin(1)->count("mallory", 30);
  agree(fleet);
  EXPECT_EQ(fleet.agent(0)->total("mallory", fleet.now()), 50U);
  EXPECT_EQ(fleet.origin(0)->totals().at("mallory"), 50U);
  EXPECT_EQ(fleet.origin(1)->totals().at("mallory"), 50U);
}

TEST_F(MeshTest, AnInstanceOfSeveralAgentsIsCountedOnceAndHearsFromOne) {
  Fleet fleet(2, {{0, 1}, {0, 1}});
  fleet.advance(seconds(2));
  for (int turn = 0; turn < 20; ++turn) {
    fleet.origin(0)->count("mallory", 1);
    fleet.origin(1)->count("mallory", 2);
    fleet.advance(Duration(50));
  }
  agree(fleet);
  EXPECT_EQ(fleet.origin(1)->totals().at("mallory"), 60U);
  const auto publishing = [&](std::size_t agent) {
    const pipeline::Peer& peer = fleet.agent(agent)->peer("lb1");
    return fleet.agent(agent)->hub.publishing(peer, fleet.now());
  };
  EXPECT_EQ(publishing(0), pipeline::Hub::Publishing::kHere);
  EXPECT_EQ(publishing(1), pipeline::Hub::Publishing::kElsewhere);
}

TEST_F(MeshTest, AnAgentThatDiesIsReplacedAsPublisherBeforeTheMarkRunsOut) {
  Fleet fleet(2, {{0, 1}, {0, 1}});
  reach_marks(fleet);
  fleet.origin(0)->count("mallory", 20);
  fleet.advance(Duration(100));
  fleet.kill_agent(0, seconds(3600));
  for (int step = 0; step < 100; ++step) {
    fleet.advance(Duration(100));
    if (step % 10 == 0) fleet.origin(0)->count("mallory", 1);
    ASSERT_TRUE(current(fleet, 0)) << step;
    ASSERT_TRUE(current(fleet, 1)) << step;
  }
  EXPECT_TRUE(fleet.wait_for([&] { return fleet.origin(1)->totals().at("mallory") == 30U; }));
}

TEST_F(MeshTest, ASoftRestartChangesNoTotalAndLetsNoMarkRunOut) {
  Fleet fleet(1, {{0}, {0}, {0}});
  reach_marks(fleet);
  fleet.origin(2)->count("mallory", 5);
  fleet.origin(1)->count("mallory", 20);
  EXPECT_TRUE(fleet.wait_for([&] { return fleet.origin(0)->totals().contains("mallory"); }));
  EXPECT_TRUE(fleet.wait_for([&] { return fleet.origin(0)->totals().at("mallory") == 25U; }));
  // Nobody but the agent knows any more what it has counted.
  fleet.kill_origin(2, seconds(3600));
  const std::uint64_t pid = fleet.agent(0)->hub.setup().pid;
  fleet.soft_restart(0, Duration(200));
  for (int step = 0; step < 60; ++step) {
    fleet.advance(Duration(50));
    fleet.origin(1)->count("mallory", 1);
    ASSERT_TRUE(current(fleet, 0)) << step;
    ASSERT_GE(fleet.origin(0)->totals().at("mallory"), 25U) << step;
  }
  EXPECT_NE(fleet.agent(0)->hub.setup().pid, pid);
  EXPECT_TRUE(fleet.wait_for([&] { return fleet.origin(0)->totals().at("mallory") == 85U; }));
}

TEST_F(MeshTest, OneThatIsFrozenIsReplacedToo) {
  Fleet fleet(2, {{0, 1}, {0, 1}});
  reach_marks(fleet);
  fleet.pause_agent(0, seconds(5));
  for (int step = 0; step < 150; ++step) {
    fleet.advance(Duration(100));
    if (step % 10 == 0) fleet.origin(0)->count("mallory", 1);
    ASSERT_TRUE(current(fleet, 0)) << step;
    ASSERT_TRUE(current(fleet, 1)) << step;
  }
  agree(fleet);
}

TEST_F(MeshTest, AnAgentThatLostEverythingLearnsFromTheOther) {
  Fleet fleet(2, {{0}, {1}});
  fleet.origin(0)->count("mallory", 20);
  fleet.origin(1)->count("mallory", 30);
  agree(fleet);
  fleet.cut_origin(1, 1, seconds(60));
  fleet.kill_agent(0, seconds(1));
  EXPECT_TRUE(fleet.wait_for(
      [&] { return fleet.agent(0) != nullptr && fleet.agent(0)->total("mallory", fleet.now()) == 50U; }));
}

TEST_F(MeshTest, WhatAnAgentCountedItselfLivesOnAfterItsDeath) {
  Fleet fleet(2, {{0}, {1}});
  fleet.origin(0)->count("mallory", 20);
  agree(fleet);
  Agent& first = *fleet.agent(0);
  const std::string incarnation = first.registry.origins()[first.hub.own_origin()].name;
  ASSERT_TRUE(first.count("mallory", 7, fleet.now()));
  EXPECT_TRUE(fleet.wait_for([&] { return fleet.agent(1)->total("mallory", fleet.now()) == 27U; }));
  fleet.kill_agent(0, seconds(2));
  agree(fleet);
  EXPECT_EQ(fleet.agent(0)->total("mallory", fleet.now()), 27U);
  EXPECT_EQ(fleet.agent(0)->contribution(incarnation, "mallory"), 7U);
  EXPECT_NE(fleet.agent(0)->registry.origins()[fleet.agent(0)->hub.own_origin()].name, incarnation);
}

TEST_F(MeshTest, AnInstanceThatLostItsTablesIsTaughtByOneAndAllAgree) {
  Fleet fleet(2, {{0, 1}, {1}});
  fleet.origin(0)->count("mallory", 20);
  fleet.origin(1)->count("mallory", 30);
  agree(fleet);
  fleet.kill_origin(0, seconds(1));
  fleet.advance(seconds(2));
  ASSERT_NE(fleet.origin(0), nullptr);
  fleet.origin(0)->count("alice", 1);
  agree(fleet);
  EXPECT_EQ(fleet.origin(0)->own().at("mallory").count, 20U);
  fleet.origin(0)->count("mallory", 1);
  agree(fleet);
  EXPECT_EQ(fleet.agent(1)->total("mallory", fleet.now()), 51U);
}

TEST_F(MeshTest, OneThatMovedToAnotherAgentGoesOnCounting) {
  Fleet fleet(2, {{0, 1}, {1}});
  fleet.origin(0)->count("mallory", 20);
  agree(fleet);
  fleet.cut_origin(0, 0, seconds(20));
  for (int turn = 0; turn < 10; ++turn) {
    fleet.origin(0)->count("mallory", 1);
    fleet.advance(seconds(1));
  }
  agree(fleet);
  EXPECT_EQ(fleet.agent(0)->total("mallory", fleet.now()), 30U);
}

TEST_F(MeshTest, AnIsolatedAgentPublishesNothing) {
  Fleet fleet(2, {{0}, {1}});
  reach_marks(fleet);
  fleet.cut_agents(0, 1, seconds(30));
  fleet.advance(seconds(8));
  EXPECT_FALSE(current(fleet, 0));
  EXPECT_FALSE(current(fleet, 1));
  EXPECT_TRUE(fleet.agent(0)->hub.isolated());
  fleet.origin(0)->count("mallory", 5);
  fleet.advance(seconds(2));
  EXPECT_EQ(fleet.origin(0)->totals().count("mallory"), 0U);
  agree(fleet);
  EXPECT_TRUE(fleet.wait_for([&] { return current(fleet, 0) && current(fleet, 1); }));
  EXPECT_EQ(fleet.origin(1)->totals().at("mallory"), 5U);
}

TEST_F(MeshTest, OneThatLostAnotherAgentButNoOriginGoesOn) {
  Fleet fleet(2, {{0, 1}, {0, 1}});
  reach_marks(fleet);
  fleet.cut_agents(0, 1, seconds(30));
  for (int step = 0; step < 80; ++step) {
    fleet.advance(Duration(100));
    ASSERT_TRUE(current(fleet, 0)) << step;
  }
}

TEST_F(MeshTest, MarksCountTheOriginsOfAllAgents) {
  Fleet fleet(3, {{0}, {1}, {2}});
  reach_marks(fleet);
  EXPECT_TRUE(fleet.wait_for([&] {
    return fleet.origin(0)->mark().present == 3 && fleet.origin(0)->mark().expected == 3 &&
           fleet.origin(2)->mark().present == 3;
  }));
  fleet.cut_origin(1, 1, seconds(60));
  EXPECT_TRUE(fleet.wait_for([&] { return fleet.origin(0)->mark().present == 2; }));
  EXPECT_TRUE(current(fleet, 0));
}

TEST_F(MeshTest, AKeyThatIsClearedAtOneAgentIsClearedAtAll) {
  Fleet fleet(2, {{0}, {1}});
  fleet.origin(0)->count("mallory", 20);
  fleet.origin(1)->count("mallory", 30);
  agree(fleet);
  pipeline::TableRecord& record = *fleet.agent(0)->registry.find("http");
  const auto told = fleet.agent(0)->hub.clear(record, record.table->find(as_bytes("mallory")), fleet.now());
  ASSERT_EQ(told.size(), 2U);
  EXPECT_TRUE(fleet.wait_for([&] {
    return fleet.origin(0)->own().at("mallory").count == 0 && fleet.origin(1)->own().at("mallory").count == 0;
  }));
  agree(fleet);
  EXPECT_EQ(fleet.agent(1)->total("mallory", fleet.now()), 0U);
  fleet.origin(1)->count("mallory", 3);
  agree(fleet);
  EXPECT_EQ(fleet.origin(0)->totals().at("mallory"), 3U);
}

TEST_F(MeshTest, OfTwoConnectionsBetweenTwoAgentsOneStays) {
  Fleet fleet(2, {{0}, {1}});
  fleet.advance(seconds(5));
  ASSERT_NE(fleet.agent(0)->peer("b").link, nullptr);
  ASSERT_NE(fleet.agent(1)->peer("a").link, nullptr);
  const std::uint64_t sessions = fleet.agent(0)->peer("b").sessions;
  fleet.advance(seconds(20));
  EXPECT_EQ(fleet.agent(0)->peer("b").sessions, sessions);
}

TEST_F(MeshTest, AfterACutOnlyWhatWasNotAcknowledgedIsTold) {
  Fleet fleet(3, {{0}, {1}, {2}});
  fleet.advance(seconds(3));
  for (int key = 0; key < 500; ++key) {
    for (std::size_t origin = 0; origin < 3; ++origin)
      fleet.origin(origin)->count("key-" + std::to_string(key), 1);
  }
  agree(fleet);
  fleet.origin(0)->count("sent and lost", 1);
  fleet.cut_agents(0, 1, seconds(5));
  fleet.cut_agents(0, 2, seconds(5));
  fleet.origin(0)->count("alice", 1);
  fleet.origin(1)->count("bob", 1);
  fleet.advance(seconds(4));
  agree(fleet);
  EXPECT_LT(told(fleet, 0, "b"), 100U);
  EXPECT_LT(told(fleet, 0, "c"), 100U);
  EXPECT_LT(told(fleet, 1, "a"), 100U);
  EXPECT_EQ(fleet.agent(2)->total("sent and lost", fleet.now()), 1U);
}

TEST_F(MeshTest, AfterASoftRestartTooWhicheverSideHadIt) {
  Fleet fleet(3, {{0}, {1}, {2}});
  fleet.advance(seconds(3));
  for (int key = 0; key < 500; ++key) {
    for (std::size_t origin = 0; origin < 3; ++origin)
      fleet.origin(origin)->count("key-" + std::to_string(key), 1);
  }
  agree(fleet);
  fleet.soft_restart(0, Duration(100));
  const std::uint64_t pid = fleet.agent(0)->hub.setup().pid;
  while (fleet.agent(0)->hub.setup().pid == pid) {
    fleet.origin(0)->count("alice", 1);
    fleet.origin(1)->count("alice", 1);
    fleet.advance(Duration(1));
  }
  fleet.advance(seconds(3));
  agree(fleet);
  EXPECT_LT(told(fleet, 0, "b"), 100U);
  EXPECT_LT(told(fleet, 1, "a"), 100U);
  // And from there on.
  fleet.origin(0)->count("bob", 1);
  agree(fleet);
  fleet.cut_agents(0, 1, seconds(2));
  fleet.origin(0)->count("trudy", 1);
  fleet.advance(seconds(3));
  agree(fleet);
  EXPECT_LT(told(fleet, 1, "a"), 100U);
}

TEST_F(MeshTest, OneThatHasTakenFarTooLittleBeforeASoftRestartIsTaughtEverything) {
  Fleet fleet(2, {{0}, {1}});
  fleet.advance(seconds(3));
  fleet.origin(0)->count("alice", 1);
  agree(fleet);
  fleet.cut_agents(0, 1, seconds(20));
  for (int key = 0; key <= 10'000; ++key) fleet.origin(0)->count("key-" + std::to_string(key), 1);
  EXPECT_TRUE(fleet.wait_for([&] { return fleet.agent(0)->total("key-10000", fleet.now()) == 1; }));
  fleet.soft_restart(0, Duration(100));
  fleet.advance(seconds(20));
  EXPECT_TRUE(fleet.wait_for([&] { return fleet.agent(1)->total("key-10000", fleet.now()) == 1; }));
  EXPECT_EQ(fleet.agent(1)->total("key-0", fleet.now()), 1U);
  EXPECT_EQ(fleet.agent(0)->peer("b").link->mesh()->teaches(), pipeline::MeshLink::Lesson::kEverything);
}

TEST_F(MeshTest, OneThatDroppedATableMeanwhileIsTaughtEverything) {
  Fleet fleet(2, {{0}, {1}});
  fleet.advance(seconds(3));
  for (int key = 0; key < 200; ++key) fleet.origin(0)->count("key-" + std::to_string(key), 1);
  agree(fleet);
  fleet.cut_agents(0, 1, seconds(2));
  store::Table& table = *fleet.agent(1)->registry.find("http")->table;
  table.redefine(TableDefinition(table.definition()), fleet.now());
  EXPECT_EQ(fleet.agent(1)->total("key-7", fleet.now()), 0U);
  fleet.advance(seconds(4));
  EXPECT_TRUE(fleet.wait_for([&] { return fleet.agent(1)->total("key-7", fleet.now()) == 1; }));
  EXPECT_EQ(fleet.agent(1)->peer("a").link->mesh()->learns(), pipeline::MeshLink::Lesson::kEverything);
}

TEST_F(MeshTest, AfterAProcessThatHasSpokenInItsNameEverythingIsTaught) {
  Fleet fleet(2, {{0}, {1}});
  fleet.advance(seconds(3));
  for (int key = 0; key < 200; ++key) {
    fleet.origin(0)->count("key-" + std::to_string(key), 1);
    fleet.origin(1)->count("key-" + std::to_string(key), 1);
  }
  agree(fleet);
  fleet.agent(0)->hub.meet_agents_anew();
  fleet.cut_agents(0, 1, seconds(2));
  fleet.advance(seconds(4));
  agree(fleet);
  EXPECT_GE(told(fleet, 0, "b"), 200U);
  EXPECT_GE(told(fleet, 1, "a"), 200U);
}

TEST_F(MeshTest, AnIsolatedAgentGoesOnReplicatingAmongItsInstances) {
  Fleet fleet(2, {{0}, {1}});
  reach_marks(fleet);
  fleet.cut_agents(0, 1, seconds(30));
  fleet.advance(seconds(8));
  const pipeline::Peer& peer = fleet.agent(0)->peer("lb1");
  EXPECT_EQ(fleet.agent(0)->hub.publishing(peer, fleet.now()), pipeline::Hub::Publishing::kReplicasOnly);
}

TEST_F(MeshTest, OneThatHasNotTakenMuchBeforeASoftRestartIsToldAllOfIt) {
  Fleet fleet(2, {{0}, {1}});
  fleet.advance(seconds(3));
  fleet.origin(0)->count("alice", 1);
  agree(fleet);
  fleet.cut_agents(0, 1, seconds(5));
  fleet.advance(Duration(10));
  for (int key = 0; key < 200; ++key) fleet.origin(0)->count("key-" + std::to_string(key), 1);
  fleet.advance(seconds(1));
  fleet.soft_restart(0, Duration(100));
  fleet.advance(seconds(1));
  fleet.origin(0)->count("alice", 1);
  fleet.advance(seconds(5));
  agree(fleet);
  EXPECT_EQ(fleet.agent(1)->total("key-7", fleet.now()), 1U);
}

TEST_F(MeshTest, WhatOnlyADeadAgentHadToldIsTaughtByWhoeverHasIt) {
  Fleet fleet(3, {{0}, {1}, {2}});
  fleet.origin(0)->count("mallory", 1);
  agree(fleet);
  fleet.cut_agents(1, 2, seconds(3600));
  fleet.advance(seconds(1));
  ASSERT_TRUE(fleet.agent(2)->count("mallory", 7, fleet.now()));
  EXPECT_TRUE(fleet.wait_for([&] { return fleet.agent(0)->total("mallory", fleet.now()) == 8; }));
  EXPECT_EQ(fleet.agent(1)->total("mallory", fleet.now()), 1U);
  fleet.kill_agent(2, seconds(3600));
  EXPECT_TRUE(fleet.wait_for([&] { return fleet.agent(1)->total("mallory", fleet.now()) == 8; }));
}

TEST_F(MeshTest, AlsoWhenNobodyHeardItDie) {
  Fleet fleet(3, {{0}, {1}, {2}});
  fleet.origin(0)->count("mallory", 1);
  agree(fleet);
  fleet.cut_agents(1, 2, seconds(3600));
  fleet.cut_agents(0, 1, seconds(20));
  fleet.advance(seconds(1));
  ASSERT_TRUE(fleet.agent(2)->count("mallory", 7, fleet.now()));
  EXPECT_TRUE(fleet.wait_for([&] { return fleet.agent(0)->total("mallory", fleet.now()) == 8; }));
  fleet.kill_agent(2, seconds(3600));
  EXPECT_TRUE(fleet.wait_for([&] { return fleet.agent(1)->total("mallory", fleet.now()) == 8; }));
}

TEST_F(MeshTest, AnAgentWaitsForTheOthersAtMostTheLearnTimeout) {
  Fleet fleet(2, {{0}, {0}});
  fleet.kill_agent(1, seconds(3600));
  fleet.kill_agent(0, seconds(0));
  fleet.advance(Duration(4900));
  EXPECT_FALSE(fleet.agent(0)->hub.learned());
  fleet.advance(seconds(2));
  EXPECT_TRUE(fleet.agent(0)->hub.learned());
  reach_marks(fleet);
}

/// A replicated table, which the agents write themselves here.
class ReplicatedMeshTest : public MeshTest {
 protected:
  void write(std::size_t agent, const std::string& key, std::uint64_t tag) {
    Agent& at = *fleet.agent(agent);
    pipeline::TableRecord& record = at.registry.define(at.hub.own_origin(), sticky(), fleet.now());
    const std::uint64_t cells[] = {tag};
    store::Plan plan = store::make_plan(sticky(), record.table->layout());
    plan.types = ~0U;
    record.table->apply(plan,
                        {at.hub.own_origin(), at.registry.next_change(), as_bytes(key), cells, {}, {}, {}},
                        fleet.now());
    at.hub.wake();
  }
  std::uint64_t read(std::size_t agent, const std::string& key) {
    const pipeline::TableRecord* record = fleet.agent(agent)->registry.find("sticky");
    if (record == nullptr) return 0;
    const store::Table& table = *record->table;
    const store::EntryId entry = table.find(as_bytes(key));
    return entry == store::kNone ? 0
                                 : table.number(table.first(entry), *table.layout().find(DataType::kGpt0), 0);
  }
  static TableDefinition sticky() {
    TableDefinition definition;
    definition.name = "sticky";
    definition.key_size = 33;
    definition.expire = std::chrono::minutes(10);
    definition.types = {{DataType::kGpt0, 1, {}}};
    return definition;
  }

  Fleet fleet{3, {{0}, {1}, {2}}};
};

TEST_F(ReplicatedMeshTest, TheLastChangeWinsAtAllAgents) {
  fleet.advance(seconds(2));
  write(0, "joe", 1);
  EXPECT_TRUE(fleet.wait_for([&] { return read(1, "joe") == 1 && read(2, "joe") == 1; }));
  write(2, "joe", 3);
  EXPECT_TRUE(fleet.wait_for([&] { return read(0, "joe") == 3 && read(1, "joe") == 3; }));
}

TEST_F(ReplicatedMeshTest, WritesThatCrossEndEqual) {
  fleet.advance(seconds(2));
  fleet.cut_agents(0, 1, seconds(5));
  fleet.cut_agents(0, 2, seconds(5));
  write(0, "joe", 1);
  write(1, "joe", 2);
  fleet.advance(seconds(1));
  EXPECT_EQ(read(0, "joe"), 1U);
  EXPECT_EQ(read(2, "joe"), 2U);
  // Both are the first change that their agent knows of: the larger name of the two decides.
  EXPECT_TRUE(fleet.wait_for([&] { return read(0, "joe") == 2; }));
  fleet.advance(seconds(2));
  EXPECT_EQ(read(1, "joe"), 2U);
  EXPECT_EQ(read(2, "joe"), 2U);
}

TEST_F(ReplicatedMeshTest, AnAgentThatReturnsTakesTheNewest) {
  fleet.advance(seconds(2));
  write(0, "joe", 1);
  EXPECT_TRUE(fleet.wait_for([&] { return read(2, "joe") == 1; }));
  fleet.kill_agent(0, seconds(3));
  fleet.advance(seconds(1));
  write(1, "joe", 2);
  EXPECT_TRUE(fleet.wait_for([&] { return fleet.agent(0) != nullptr && read(0, "joe") == 2; }));
  write(0, "joe", 3);
  EXPECT_TRUE(fleet.wait_for([&] { return read(1, "joe") == 3 && read(2, "joe") == 3; }));
}

TEST_F(MeshTest, AChangedLimitIsThatOfAllAgents) {
  Fleet fleet(3, {{0}, {1}, {2}});
  fleet.advance(seconds(1));
  const auto above = [&](std::size_t agent) {
    return fleet.agent(agent) == nullptr ? 0 : fleet.agent(agent)->hub.limits().find("api")->value().above;
  };
  ASSERT_TRUE(fleet.agent(1)->hub.set_limit("api", pipeline::LimitValue{200, false}));
  EXPECT_TRUE(fleet.wait_for([&] { return above(0) == 200 && above(2) == 200; }));

  fleet.cut_agents(0, 1, seconds(20));
  fleet.cut_agents(0, 2, seconds(20));
  ASSERT_TRUE(fleet.agent(0)->hub.set_limit("api", pipeline::LimitValue{300, true}));
  fleet.advance(seconds(1));
  ASSERT_TRUE(fleet.agent(2)->hub.set_limit("api", pipeline::LimitValue{400, false}));
  fleet.advance(seconds(1));
  EXPECT_EQ(above(0), 300U);
  EXPECT_EQ(above(1), 400U);
  fleet.heal();
  EXPECT_TRUE(fleet.wait_for([&] { return above(0) == 400 && above(1) == 400; })) << "the newest holds";

  fleet.kill_agent(0, seconds(1));
  fleet.soft_restart(1, seconds(1));
  EXPECT_TRUE(
      fleet.wait_for([&] { return fleet.agent(0) != nullptr && above(0) == 400 && above(1) == 400; }));
  ASSERT_TRUE(fleet.agent(0)->hub.set_limit("api", std::nullopt));
  EXPECT_TRUE(fleet.wait_for([&] { return above(1) == 100 && above(2) == 100; }));
}

}  // namespace
}  // namespace stickmesh::mesh
