#include <gtest/gtest.h>

#include <chrono>

#include "agent/pipeline/accepted_origin.h"
#include "agent/pipeline/mesh_row.h"
#include "tests/unit/pipeline/instance.h"

namespace stickmesh::pipeline {
namespace {

/// What an agent says that it must not say: a scripted one, against one agent.
class BadAgentTest : public testing::Test {
 protected:
  static HubSetup setup() {
    HubSetup setup = Agent::default_setup();
    setup.peers.push_back({"agent-2", PeerKind::kAgent, {}, {}, 9});
    setup.limits = {{"api", "http", DataType::kHttpReqCnt, {100, false}}};
    return setup;
  }
  void row(const std::string& key, const MeshCells& cells) {
    fellow.push(1, mesh_definition(), key, ++update_id, {cells.begin(), cells.end()});
    fellow.exchange(kStart);
  }
  /// A live word about |origin|'s count of "mallory".
  void tell(const std::string& origin, std::uint32_t generation, std::uint64_t count,
            std::vector<std::uint64_t> changes = {0}) {
    TableDefinition definition = counter_table("http@" + origin);
    definition.versioned = true;
    fellow.session().select(2, definition);
    peers::UpdateEncoder encoder;
    encoder.begin(++update_id, Duration(60000));
    encoder.key(definition.key_type, as_bytes("mallory"));
    encoder.number(count);
    encoder.version({generation, 5, false, changes});
    fellow.session().append_update(encoder.finish());
    fellow.exchange(kStart);
  }
  static MeshCells agent_row(std::uint32_t number) {
    AgentRow row;
    row.learned = true;
    row.number = number;
    return encode_row(row);
  }
  RulesRow same_rules() const {
    return {agent.registry.rules().digest(), static_cast<std::uint32_t>(agent.hub.limits().digest())};
  }
  void be_home_to(const std::string& origin, std::uint32_t generation) {
    OriginRow home;
    home.home = true;
    home.generation = generation;
    home.process = 42;
    row(origin, encode_row(home));
  }
  std::size_t held() {
    const TableRecord* record = agent.registry.find("http");
    return record == nullptr ? 0 : record->table->contributions();
  }
  void expect_refused(Reason reason) {
    EXPECT_FALSE(fellow.up());
    EXPECT_EQ(agent.errors.count(reason), 1U);
    EXPECT_EQ(held(), 0U);
  }

  Agent agent{setup()};
  Instance fellow{agent.hub, "agent-2", 77, kStart};
  std::uint32_t update_id = 0;
};

TEST_F(BadAgentTest, WhatItsOwnInstanceCountsIsTaken) {
  be_home_to("lb1", 3);
  tell("lb1", 3, 7);
  EXPECT_TRUE(fellow.up());
  EXPECT_EQ(held(), 1U);
}

TEST_F(BadAgentTest, AnotherAgentsRowIsRefused) {
  row("agent-3", agent_row(1));
  expect_refused(Reason::kNotItsOrigin);
}

TEST_F(BadAgentTest, OtherRulesAreNamed) {
  row("agent-2", encode_row(same_rules()));
  EXPECT_EQ(agent.errors.count(Reason::kRulesMismatch), 0U);
  row("agent-2", encode_row(RulesRow{1, 0}));
  EXPECT_TRUE(fellow.up());
  EXPECT_EQ(agent.errors.count(Reason::kRulesMismatch), 1U);
  EXPECT_NE(agent.peer("agent-2").link->problems(), "");
  row("agent-2", encode_row(same_rules()));
  EXPECT_EQ(agent.peer("agent-2").link->problems(), "");
}

TEST_F(BadAgentTest, OtherLimitsAreNamed) {
  RulesRow other = same_rules();
  ++other.limits;
  row("agent-2", encode_row(other));
  EXPECT_EQ(agent.errors.count(Reason::kRulesMismatch), 1U);
}

TEST_F(BadAgentTest, LimitsThatAreNoneAreNamedAndChangeNothing) {
  row("none", encode_row(LimitRow{LimitValue{7, false}, 5}));
  EXPECT_EQ(agent.errors.count(Reason::kNotFound), 1U);
  row("api", encode_row(LimitRow{LimitValue{7, false}, ~std::uint64_t{0}}));
  EXPECT_EQ(agent.errors.count(Reason::kValueOutOfRange), 1U);
  EXPECT_EQ(agent.hub.limits().find("api")->value().above, 100U);
  EXPECT_TRUE(fellow.up());
  ASSERT_TRUE(agent.hub.set_limit("api", LimitValue{8, false}));
  EXPECT_EQ(agent.hub.limits().find("api")->value().above, 8U);
  row("api", encode_row(LimitRow{LimitValue{9, false}, 5}));
  EXPECT_EQ(agent.hub.limits().find("api")->value().above, 8U) << "an older one";
  EXPECT_EQ(agent.errors.count(Reason::kValueOutOfRange), 1U);
}

TEST_F(BadAgentTest, AnotherAgentsRulesAreRefused) {
  row("agent-3", encode_row(RulesRow{1, 0}));
  expect_refused(Reason::kNotItsOrigin);
}

TEST_F(BadAgentTest, AnOriginToWhichItIsNotHomeIsRefused) {
  tell("lb1", 3, 7);
  expect_refused(Reason::kNotItsOrigin);
}

TEST_F(BadAgentTest, WhatRedisWillSayIsLeftOut) {
  const auto at = [](std::chrono::seconds ahead) {
    const auto time = HubSetup().wall_clock().time_since_epoch() + ahead;
    return accepted_version(std::chrono::duration_cast<std::chrono::microseconds>(time)).generation;
  };
  tell("redis", at(std::chrono::hours(2)), 7);
  EXPECT_EQ(held(), 0U);
  EXPECT_EQ(agent.errors.count(Reason::kValueOutOfRange), 1U);
  EXPECT_TRUE(fellow.up());
  tell("redis", at(std::chrono::seconds(0)), 7);
  EXPECT_EQ(held(), 1U);
}

TEST_F(BadAgentTest, OurOwnCountsAreOurs) {
  const std::string own = agent.registry.origins()[agent.hub.own_origin()].name;
  const TableDefinition http = counter_table("http");
  TableRecord& record = agent.registry.define(agent.hub.own_origin(), http, kStart);
  const std::uint64_t cells[] = {3};
  record.table->apply(
      store::make_plan(http, record.table->layout()),
      {agent.hub.own_origin(), agent.hub.next_version(record), as_bytes("mallory"), cells, {}, {}, {}},
      kStart);
  be_home_to(own, 1);
  tell(own, 9, 1000);
  const store::Column& column = *record.table->layout().find(DataType::kHttpReqCnt);
  EXPECT_EQ(record.table->number(record.table->first(record.table->find(as_bytes("mallory"))), column, 0),
            3U);
}

TEST_F(BadAgentTest, AGenerationThatNobodyCanHaveReachedIsRefused) {
  be_home_to("lb1", 0xffffffff);
  expect_refused(Reason::kValueOutOfRange);
}

TEST_F(BadAgentTest, NorIsOneTakenWithAContribution) {
  be_home_to("lb1", 1);
  tell("lb1", 0xffffffff, 7);
  expect_refused(Reason::kValueOutOfRange);
}

TEST_F(BadAgentTest, NorAChangeWithSuchANumber) {
  be_home_to("lb1", 1);
  tell("lb1", 1, 7, {~std::uint64_t{0}});
  expect_refused(Reason::kValueOutOfRange);
}

TEST_F(BadAgentTest, RowsTakeNoMemory) {
  for (std::uint32_t number = 1; number < 50; ++number) {
    row("agent-2", agent_row(number));
    be_home_to("lb1", number);
  }
  EXPECT_TRUE(fellow.up());
  EXPECT_EQ(agent.peer("agent-2").link->tables_in(), 0U);
}

}  // namespace
}  // namespace stickmesh::pipeline
