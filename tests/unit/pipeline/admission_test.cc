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

TEST(AdmissionTest, WithAcceptUnknownNobodyCountsInThePlaceOfAnAgent) {
  HubSetup setup = Agent::default_setup();
  setup.accept_unknown = true;
  Agent agent(setup);
  for (const char* name : {"agent-1#1795829805", "agent-2#1", "lb1@agent-1", "x/y", "x;y", "\xc3\xa9"}) {
    Instance instance(agent.hub, name, 10, kStart);
    EXPECT_FALSE(instance.up()) << name;
    EXPECT_EQ(instance.end()->reason, Reason::kUnknownPeer) << name;
  }
  EXPECT_EQ(agent.hub.strangers().size(), 6U);
}

TEST(AdmissionTest, NobodyIsWhatOthersWriteToRedis) {
  HubSetup setup = Agent::default_setup();
  setup.accept_unknown = true;
  Agent agent(setup);
  Instance redis(agent.hub, "redis", 10, kStart);
  EXPECT_FALSE(redis.up());
  ASSERT_EQ(agent.hub.strangers().size(), 1U);
  EXPECT_NE(agent.hub.strangers().front().note.find("what others write to Redis"), std::string::npos);
  EXPECT_EQ(agent.hub.recall("redis", kStart, kStart), nullptr);
  EXPECT_NE(agent.hub.recall("web7", kStart, kStart), nullptr);
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

TEST(AdmissionTest, ACertificateStandsForTheAddressAndMustCarryTheName) {
  HubSetup setup = Agent::default_setup();
  setup.allowed_from = [](const Source&) { return false; };
  Agent agent(setup);
  Source source{"192.0.2.1:5000", "192.0.2.1", {}};
  source.certified = {"LB1", "lb1.example.com"};
  Instance lb1(agent.hub, "lb1", 10, kStart, "agent-1", true, source);
  EXPECT_TRUE(lb1.up());
  Instance lb2(agent.hub, "lb2", 10, kStart, "agent-1", true, source);
  EXPECT_FALSE(lb2.up());
  EXPECT_EQ(agent.errors.count(Reason::kWrongCertificate), 1U);
  EXPECT_NE(agent.peer("lb2").note.find("DNS:lb2"), std::string::npos) << agent.peer("lb2").note;
  EXPECT_NE(agent.peer("lb2").note.find("'LB1', 'lb1.example.com'"), std::string::npos);
  source.certified = {"lb", "*", "lb22"};
  EXPECT_FALSE(agent.hub.check_certificate(source, "lb2"));
  source.certified.emplace();
  EXPECT_FALSE(agent.hub.check_certificate(source, "lb2"));
}

TEST(AdmissionTest, AllOfAnAddressAreToldOfAHandshakeThatFailed) {
  HubSetup setup = Agent::default_setup();
  setup.peers[0].host = setup.peers[1].host = "192.0.2.1";
  Agent agent(setup);
  const Error why{Reason::kUnknownAuthority, "add it"};
  agent.hub.turned_away({"192.0.2.1:5000", "192.0.2.1", {}}, nullptr, why, kStart);
  for (const char* name : {"lb1", "lb2"}) {
    EXPECT_EQ(agent.peer(name).note, "unknown-authority: add it, from 192.0.2.1:5000");
  }
  EXPECT_TRUE(agent.peer("lb3").note.empty());
  EXPECT_TRUE(agent.hub.strangers().empty());
  agent.hub.turned_away({"192.0.2.3:5000", "192.0.2.3", {}}, nullptr, why, kStart);
  agent.hub.turned_away({"192.0.2.4:5000", "192.0.2.4", {}}, nullptr, why, kStart);
  ASSERT_EQ(agent.hub.strangers().size(), 1U);
  EXPECT_EQ(agent.hub.strangers().front().source, "192.0.2.4:5000");
  agent.hub.turned_away({"192.0.2.9:10000", "192.0.2.9", {}}, &agent.peer("lb3"), why, kStart);
  EXPECT_EQ(agent.peer("lb3").note, "unknown-authority: add it");
  EXPECT_EQ(agent.errors.count(Reason::kUnknownAuthority), 4U);
}

TEST(AdmissionTest, TlsThatNobodyExpectsIsNamed) {
  Agent agent;
  auto session = agent.hub.accept({"192.0.2.1:5000", "192.0.2.1", {}}, kStart);
  EXPECT_TRUE(session->receive(as_bytes("\x16"), kStart));
  const auto taken = session->receive(as_bytes("\x03\x01"), kStart);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().reason, Reason::kUnexpectedTls);
  session->closed(taken.error(), kStart);
  ASSERT_EQ(agent.hub.strangers().size(), 1U);
  EXPECT_NE(agent.hub.strangers().front().note.find("take `ssl` out"), std::string::npos);
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
