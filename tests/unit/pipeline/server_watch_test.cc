#include "agent/pipeline/server_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/pipeline/mesh_row.h"
#include "instance.h"

namespace stickmesh::pipeline {
namespace {

using std::chrono::seconds;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TableDefinition server_table(const std::string& name) {
  TableDefinition definition = counter_table(name);
  definition.types = {{DataType::kServerId, 1, {}}, {DataType::kServerKey, 1, {}}};
  return definition;
}

class ServerWatchTest : public ::testing::Test {
 protected:
  static HubSetup setup() {
    HubSetup setup = Agent::default_setup();
    setup.peers.push_back({"agent-2", PeerKind::kAgent, {}, {}, 9});
    setup.learn_timeout = Duration(0);
    return setup;
  }
  /// |instance| has stored in |table| that |key|'s server is |name|, whose id there is |id|.
  void store(Instance& instance, const std::string& key, std::uint64_t id, const std::string& name,
             const std::string& table = "visits", std::uint32_t number_flag = 0) {
    instance.session().select(table == "visits" ? 1 : 2, server_table(table));
    peers::UpdateEncoder encoder;
    encoder.begin(++update_id_ | number_flag,
                  number_flag == 0 ? std::optional<Duration>() : std::optional(Duration(60000)));
    encoder.key(KeyType::kString, as_bytes(key));
    encoder.number(id);
    encoder.server_key(name);
    instance.session().append_update(encoder.finish());
    instance.exchange(now_);
  }
  void wait(Duration time = seconds(2)) {
    for (Duration passed{0}; passed < time; passed += Duration(500)) {
      now_ += Duration(500);
      agent_.hub.run(now_);
    }
  }
  std::string note(const std::string& name) { return agent_.hub.servers().note(agent_.peer(name).origin); }
  std::uint64_t reports() const { return agent_.errors.count(Reason::kServerMismatch); }

  TimePoint now_ = kStart;
  Agent agent_{setup(), {{Pattern("*"), Pattern("*.total")}}, {Pattern("sessions")}};
  Instance lb1_{agent_.hub, "lb1", 10, kStart};
  std::unique_ptr<Instance> lb2_ = std::make_unique<Instance>(agent_.hub, "lb2", 20, kStart);
  std::uint32_t update_id_ = 0;
};

TEST_F(ServerWatchTest, OneIdOfTwoServersIsToldOfBothInstances) {
  store(lb1_, "joe", 1, "web1");
  store(*lb2_, "amy", 1, "web2");
  wait();
  EXPECT_EQ(reports(), 1U);
  EXPECT_THAT(agent_.errors.recent().back().detail,
              StartsWith("server id 1 is 'web1' at lb1 and 'web2' at lb2: give each server"));
  EXPECT_EQ(agent_.errors.recent().back().where, "table visits");
  EXPECT_THAT(note("lb1"), StartsWith("server-mismatch: table visits: server id 1"));
  EXPECT_EQ(note("lb1"), note("lb2"));
  EXPECT_EQ(note("lb3"), "");
  EXPECT_EQ(agent_.hub.servers().standing(), 1U);
}

TEST_F(ServerWatchTest, OneServerWithTwoIdsIsToldOnceHoweverManyServersItConcerns) {
  store(lb1_, "joe", 1, "web1");
  store(lb1_, "tom", 2, "web2");
  store(*lb2_, "amy", 11, "web1");
  wait();
  store(*lb2_, "ann", 12, "web2");
  wait();
  EXPECT_EQ(reports(), 1U);
  EXPECT_THAT(note("lb2"), HasSubstr("server 'web1' has id 1 at lb1 and 11 at lb2 (and 1 more)"));
}

TEST_F(ServerWatchTest, EqualPairsAndThoseThatSayNothingAreNone) {
  store(lb1_, "joe", 1, "web1");
  store(lb1_, "tom", 2, "web2");
  store(*lb2_, "amy", 2, "web2");
  store(*lb2_, "ann", 0, "web1");
  store(*lb2_, "bob", 1, "");
  wait();
  EXPECT_EQ(reports(), 0U);
  EXPECT_EQ(agent_.registry.find("visits")->servers->size(agent_.peer("lb2").origin), 1U);
}

// Several backends that use one table have ids of their own.
TEST_F(ServerWatchTest, WhatOneInstanceSaysBothWaysIsNoDisagreement) {
  store(lb1_, "joe", 1, "web1");
  store(lb1_, "tom", 1, "db1");
  store(*lb2_, "amy", 1, "db1");
  store(*lb2_, "ann", 3, "web1");
  store(*lb2_, "bob", 1, "web1");
  wait();
  EXPECT_EQ(reports(), 0U);
}

TEST_F(ServerWatchTest, AnInstanceThatUsesWhatItWasGivenRepeatsAnothersWord) {
  store(lb1_, "joe", 1, "web1", "sessions");
  store(*lb2_, "joe", 1, "web1", "sessions");
  store(*lb2_, "amy", 2, "web1", "sessions");
  wait();
  EXPECT_EQ(reports(), 1U);
  EXPECT_THAT(note("lb2"),
              HasSubstr("table sessions: server 'web1' has id 1 at lb1 and 2 at lb2: give each server"));
}

TEST_F(ServerWatchTest, AnEntryThatBothWriteInTurnIsNoHindrance) {
  store(lb1_, "joe", 1, "web1", "sessions");
  store(*lb2_, "joe", 2, "web1", "sessions");
  store(lb1_, "joe", 1, "web1", "sessions");
  wait();
  EXPECT_EQ(reports(), 1U);
}

TEST_F(ServerWatchTest, AProcessWithAMendedConfigSettlesItAndAnotherWrongOneIsToldAgain) {
  store(lb1_, "joe", 1, "web1");
  store(*lb2_, "amy", 1, "web2");
  wait();
  ASSERT_EQ(reports(), 1U);
  lb2_ = std::make_unique<Instance>(agent_.hub, "lb2", 21, now_);
  // The process before it has told it of its entries.
  lb2_->teach = [&] { store(*lb2_, "zoe", 1, "web2", "visits", kLearned); };
  agent_.peer("lb2").link->session().request_lesson(now_);
  lb2_->exchange(now_);
  store(*lb2_, "amy", 1, "web2");
  wait();
  EXPECT_EQ(note("lb1"), "");
  EXPECT_EQ(agent_.hub.servers().standing(), 0U);
  store(*lb2_, "ann", 2, "web2");
  wait();
  EXPECT_EQ(note("lb2"), "");
  lb2_ = std::make_unique<Instance>(agent_.hub, "lb2", 22, now_);
  store(*lb2_, "eve", 1, "web2");
  wait();
  EXPECT_EQ(reports(), 2U);
  EXPECT_EQ(agent_.hub.servers().reported(), 2U);
}

TEST_F(ServerWatchTest, EachTableIsToldASecondAfterTheOtherSoThatTheLogHasBoth) {
  for (const char* table : {"visits", "sessions"}) {
    store(lb1_, "joe", 1, "web1", table);
    store(*lb2_, "amy", 1, "web2", table);
  }
  wait(seconds(1));
  EXPECT_EQ(reports(), 1U);
  EXPECT_EQ(agent_.hub.servers().standing(), 2U);
  EXPECT_THAT(note("lb2"), EndsWith("of both; and 1 more like it"));
  wait(seconds(1));
  EXPECT_EQ(reports(), 2U);
  wait();
  EXPECT_EQ(reports(), 2U);
}

TEST_F(ServerWatchTest, PairsOfOneInstanceAreBounded) {
  for (std::uint64_t id = 1; id <= ServerPairs::kMaxPairs + 50; ++id) {
    store(lb1_, "key" + std::to_string(id), id, "web" + std::to_string(id));
  }
  EXPECT_EQ(agent_.registry.find("visits")->servers->size(agent_.peer("lb1").origin), ServerPairs::kMaxPairs);
  store(*lb2_, "amy", ServerPairs::kMaxPairs, "web1");
  wait();
  EXPECT_EQ(reports(), 1U);
}

TEST_F(ServerWatchTest, WhatAnotherAgentTellsOfItsInstanceCounts) {
  Instance fellow(agent_.hub, "agent-2", 77, now_);
  const auto home = [&](std::uint32_t generation) {
    OriginRow row;
    row.home = true;
    row.generation = generation;
    row.process = generation;
    const MeshCells cells = encode_row(row);
    fellow.push(1, mesh_definition(), "lb3", ++update_id_, {cells.begin(), cells.end()});
    fellow.exchange(now_);
  };
  home(1);
  TableDefinition relayed = server_table("visits@lb3");
  relayed.versioned = true;
  fellow.session().select(2, relayed);
  peers::UpdateEncoder encoder;
  encoder.begin(++update_id_, Duration(60000));
  encoder.key(KeyType::kString, as_bytes("tom"));
  encoder.number(1);
  encoder.server_key("web3");
  const std::vector<std::uint64_t> changes = {5, 6};
  encoder.version({1, 5, false, changes});
  fellow.session().append_update(encoder.finish());
  fellow.exchange(now_);
  store(lb1_, "joe", 1, "web1");
  wait();
  EXPECT_THAT(note("lb3"), HasSubstr("server id 1 is 'web1' at lb1 and 'web3' at lb3"));
  home(2);
  wait();
  EXPECT_EQ(note("lb1"), "") << "another process of lb3";
}

}  // namespace
}  // namespace stickmesh::pipeline
