#include <gtest/gtest.h>

#include <algorithm>

#include "instance.h"

namespace stickmesh::pipeline {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ClearTest : public ::testing::Test {
 protected:
  ClearTest() {
    for (Instance* instance : {&lb1_, &lb2_}) announce(*instance);
    lb1_.push(1, kInput, "joe", 1, {30});
    lb2_.push(1, kInput, "joe", 1, {20});
    lb2_.push(1, kInput, "amy", 2, {4});
    settle(milliseconds(30));
  }
  static void announce(Instance& instance, TimePoint now = kStart) {
    instance.session().select(1, kInput);
    instance.session().select(2, kTotal);
    instance.exchange(now);
  }
  void settle(Duration after) {
    for (Instance* instance : {&lb1_, &lb2_, &lb1_, &lb2_}) instance->exchange(kStart + after);
  }
  TableRecord& record() { return *agent_.registry.find("http"); }
  std::uint64_t total(const char* key) {
    const store::Table& table = *record().table;
    const store::EntryId entry = table.find(as_bytes(key));
    return entry == store::kNone ? 0 : table.sum(entry, table.layout().columns()[0], 0).low;
  }
  std::vector<Hub::Cleared> clear(const char* key, Duration after) {
    return agent_.hub.clear(record(), record().table->find(as_bytes(key)), kStart + after);
  }
  static const Received* last(const Instance& instance, const std::string& table, const std::string& key) {
    const auto found =
        std::find_if(instance.received.rbegin(), instance.received.rend(),
                     [&](const Received& had) { return had.key == key && had.table == table; });
    return found == instance.received.rend() ? nullptr : &*found;
  }
  Agent agent_;
  Instance lb1_{agent_.hub, "lb1", 10, kStart};
  Instance lb2_{agent_.hub, "lb2", 20, kStart};
};

TEST_F(ClearTest, EveryInstanceIsToldAndTheTotalIsZero) {
  ASSERT_EQ(total("joe"), 50U);
  const auto told = clear("joe", milliseconds(100));
  ASSERT_EQ(told.size(), 2U);
  EXPECT_TRUE(told[0].told && told[1].told);
  settle(milliseconds(150));
  for (const Instance* instance : {&lb1_, &lb2_}) {
    const Received* own = last(*instance, "/http", "joe");
    ASSERT_NE(own, nullptr);
    EXPECT_EQ(own->cells, std::vector<std::uint64_t>{0});
    EXPECT_TRUE(own->timed);
    ASSERT_NE(last(*instance, "/http.total", "joe"), nullptr);
    EXPECT_EQ(last(*instance, "/http.total", "joe")->cells, std::vector<std::uint64_t>{0});
  }
  EXPECT_EQ(total("joe"), 0U);
  EXPECT_EQ(total("amy"), 4U);
  EXPECT_TRUE(record().table->cleared(record().table->find(as_bytes("joe"))));
}

TEST_F(ClearTest, WhatAnInstanceSaysBeforeItKnowsIsNotTaken) {
  clear("joe", milliseconds(100));
  lb1_.push(1, kInput, "joe", 2, {31});
  // The instance's words reach us before its acknowledgement of the zero does.
  lb1_.exchange(kStart + milliseconds(110));
  EXPECT_EQ(total("joe"), 0U);
  settle(milliseconds(150));
  lb1_.push(1, kInput, "joe", 3, {1});
  settle(milliseconds(200));
  EXPECT_EQ(total("joe"), 1U);
}

TEST_F(ClearTest, AnInstanceThatIsAwayIsToldWhenItReturns) {
  lb2_.cut(kStart + milliseconds(80));
  const auto told = clear("joe", milliseconds(100));
  EXPECT_EQ(std::count_if(told.begin(), told.end(), [](const Hub::Cleared& had) { return !had.told; }), 1);
  Instance back(agent_.hub, "lb2", 20, kStart + seconds(5));
  back.teach = [&] {
    back.push(1, kInput, "joe", 1, {20}, seconds(500));
    back.push(1, kInput, "amy", 2, {4}, seconds(500));
  };
  agent_.peer("lb2").link->session().request_lesson(kStart + seconds(5));
  back.exchange(kStart + seconds(5));
  back.exchange(kStart + seconds(6));
  EXPECT_EQ(total("joe"), 0U);
  ASSERT_NE(last(back, "/http", "joe"), nullptr);
  EXPECT_EQ(last(back, "/http", "joe")->cells, std::vector<std::uint64_t>{0});
  EXPECT_EQ(last(back, "/http", "amy"), nullptr);
  back.push(1, kInput, "joe", 7, {2});
  back.exchange(kStart + seconds(7));
  EXPECT_EQ(total("joe"), 2U);
}

TEST_F(ClearTest, OneThatNeverAcknowledgesIsAskedWhatItHas) {
  lb1_.acknowledges = false;
  const int asked = lb1_.lessons_asked;
  clear("joe", milliseconds(100));
  lb1_.exchange(kStart + milliseconds(150));
  lb1_.teach = [&] { lb1_.push(1, kInput, "joe", 5, {3}, seconds(500)); };
  lb1_.exchange(kStart + milliseconds(2200));
  EXPECT_EQ(lb1_.lessons_asked, asked + 1);
  EXPECT_EQ(total("joe"), 3U);
}

TEST_F(ClearTest, AReplicatedEntryIsZeroEverywhere) {
  Agent agent(Agent::default_setup(), {}, {Pattern("http")});
  Instance lb1(agent.hub, "lb1", 10, kStart);
  Instance lb2(agent.hub, "lb2", 20, kStart);
  for (Instance* instance : {&lb1, &lb2}) {
    instance->session().select(1, kInput);
    instance->exchange(kStart);
  }
  lb1.push(1, kInput, "joe", 1, {30});
  lb1.exchange(kStart + milliseconds(30));
  lb2.exchange(kStart + milliseconds(30));
  TableRecord& table = *agent.registry.find("http");
  agent.hub.clear(table, table.table->find(as_bytes("joe")), kStart + milliseconds(60));
  for (Instance* instance : {&lb1, &lb2}) {
    instance->exchange(kStart + milliseconds(100));
    ASSERT_NE(last(*instance, "/http", "joe"), nullptr);
    EXPECT_EQ(last(*instance, "/http", "joe")->cells, std::vector<std::uint64_t>{0});
  }
}

}  // namespace
}  // namespace stickmesh::pipeline
