#include <gtest/gtest.h>

#include <algorithm>

#include "instance.h"

namespace stickmesh::pipeline {
namespace {

using std::chrono::seconds;

TEST(AdmissionTest, AConfiguredInstanceComesIn) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  EXPECT_TRUE(lb1.up());
  EXPECT_NE(agent.peer("lb1").link, nullptr);
}

TEST(AdmissionTest, AnUnknownNameIsToldWithWhatWasExpectedAndWhereToChangeIt) {
  Agent agent;
  Instance web7(agent.hub, "web7", 10, kStart);
  EXPECT_FALSE(web7.up());
  EXPECT_EQ(agent.errors.count(Reason::kUnknownPeer), 1U);
  ASSERT_EQ(agent.hub.strangers().size(), 1U);
  const std::string& note = agent.hub.strangers().front().note;
  for (const char* part : {"'web7'", "'lb1', 'lb2', 'lb3'", "localpeer", "stickmesh.toml"}) {
    EXPECT_NE(note.find(part), std::string::npos) << note;
  }
}

TEST(AdmissionTest, AWrongNameForTheAgentIsToldInTheNoteOfThatPeer) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart, /*calls=*/"agent-x");
  EXPECT_FALSE(lb1.up());
  EXPECT_EQ(agent.errors.count(Reason::kWrongPeerName), 1U);
  EXPECT_NE(agent.peer("lb1").note.find("server agent-1"), std::string::npos) << agent.peer("lb1").note;
}

TEST(AdmissionTest, TheAgentsOwnNameIsRefused) {
  Agent agent;
  Instance own(agent.hub, "agent-1", 10, kStart);
  EXPECT_FALSE(own.up());
  EXPECT_EQ(agent.errors.count(Reason::kOwnName), 1U);
}

TEST(AdmissionTest, WithAcceptUnknownAnyOtherNameComesIn) {
  HubSetup setup = Agent::default_setup();
  setup.accept_unknown = true;
  Agent agent(setup);
  Instance web7(agent.hub, "web7", 10, kStart);
  EXPECT_TRUE(web7.up());
  EXPECT_FALSE(agent.peer("web7").configured);
}

TEST(AdmissionTest, AStrangeAddressIsRefused) {
  HubSetup setup = Agent::default_setup();
  setup.allowed_from = [](const Source&) { return false; };
  setup.peers[0].address = "192.0.2.1:10000";
  setup.peers[0].host = "192.0.2.1";
  setup.peers[1].address = "127.0.0.1:10000";
  setup.peers[1].host = "127.0.0.1";
  Agent agent(setup);
  Instance lb1(agent.hub, "lb1", 10, kStart);
  EXPECT_FALSE(lb1.up());
  EXPECT_EQ(agent.errors.count(Reason::kForbiddenAddress), 1U);
  Instance lb2(agent.hub, "lb2", 10, kStart);
  EXPECT_TRUE(lb2.up());
}

TEST(AdmissionTest, OriginsAreBounded) {
  HubSetup setup = Agent::default_setup();
  setup.accept_unknown = true;
  Agent agent(setup);
  for (int index = 0; index < 20; ++index) {
    Instance(agent.hub, "web" + std::to_string(index), 10, kStart).cut(kStart);
  }
  EXPECT_EQ(agent.registry.origins().size(), 16U);
  EXPECT_GT(agent.errors.count(Reason::kTooManyOrigins), 0U);
}

TEST(AdmissionTest, ASecondLiveSessionOfOneProcessKeepsTheFirst) {
  Agent agent;
  Instance first(agent.hub, "lb1", 10, kStart);
  Instance second(agent.hub, "lb1", 10, kStart + seconds(1));
  EXPECT_TRUE(first.up());
  EXPECT_FALSE(second.up());
  EXPECT_NE(agent.peer("lb1").note.find("two peers sections"), std::string::npos);
}

TEST(AdmissionTest, AProcessThatWentSilentIsReplaced) {
  Agent agent;
  Instance first(agent.hub, "lb1", 10, kStart);
  Instance second(agent.hub, "lb1", 10, kStart + seconds(6));
  first.exchange(kStart + seconds(6));
  EXPECT_FALSE(first.up());
  EXPECT_EQ(first.end()->reason, Reason::kReplacedSession);
  EXPECT_TRUE(second.up());
  EXPECT_TRUE(agent.peer("lb1").note.empty());
}

TEST(AdmissionTest, TheNewProcessOfAReloadReplacesTheOld) {
  Agent agent;
  Instance old_process(agent.hub, "lb1", 10, kStart);
  Instance new_process(agent.hub, "lb1", 11, kStart + seconds(1));
  EXPECT_TRUE(new_process.up());
  old_process.exchange(kStart + seconds(1));
  EXPECT_FALSE(old_process.up());
}

TEST(AdmissionTest, ManyReloadsInARowAreNoTurnsTaken) {
  Agent agent;
  std::vector<std::unique_ptr<Instance>> processes;
  for (std::uint64_t reload = 0; reload < 20; ++reload) {
    processes.push_back(
        std::make_unique<Instance>(agent.hub, "lb1", 10 + reload, kStart + seconds(1) * reload));
    EXPECT_TRUE(processes.back()->up()) << reload;
  }
  EXPECT_EQ(agent.errors.count(Reason::kDuplicateSession), 0U);
}

TEST(AdmissionTest, ProcessesThatTakeTurnsAreTwoHostsWithOneName) {
  Agent agent;
  std::vector<std::unique_ptr<Instance>> instances;
  for (std::uint64_t turn = 0; turn < 8; ++turn) {
    instances.push_back(std::make_unique<Instance>(agent.hub, "lb1", 10 + turn % 2, kStart + seconds(turn)));
    for (auto& instance : instances) instance->exchange(kStart + seconds(turn));
  }
  EXPECT_GT(agent.errors.count(Reason::kDuplicateSession), 0U);
  EXPECT_TRUE(std::any_of(
      agent.errors.recent().begin(), agent.errors.recent().end(),
      [](const ErrorLog::Record& record) { return record.detail.find("two hosts") != std::string::npos; }));
}

}  // namespace
}  // namespace stickmesh::pipeline
