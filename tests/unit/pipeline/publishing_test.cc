#include <gtest/gtest.h>

#include <algorithm>

#include "instance.h"

namespace stickmesh::pipeline {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Announces both tables, as an instance does in its lesson.
void announce(Instance& instance, TimePoint now) {
  instance.session().select(1, kInput);
  instance.session().select(2, kTotal);
  instance.exchange(now);
}

const Received* last_of(const Instance& instance, const std::string& key) {
  const auto found = std::find_if(instance.received.rbegin(), instance.received.rend(),
                                  [&](const Received& had) { return had.key == key; });
  return found == instance.received.rend() ? nullptr : &*found;
}

TEST(PublishingTest, EachInstanceGetsTheSumOfAll) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  Instance lb2(agent.hub, "lb2", 20, kStart);
  announce(lb1, kStart);
  announce(lb2, kStart);
  lb1.push(1, kInput, "joe", 1, {5});
  lb2.push(1, kInput, "joe", 1, {7});
  const TimePoint later = kStart + milliseconds(20);
  lb1.exchange(kStart);
  lb2.exchange(kStart);
  lb1.exchange(later);
  lb2.exchange(later);
  for (const Instance* instance : {&lb1, &lb2}) {
    const Received* got = last_of(*instance, "joe");
    ASSERT_NE(got, nullptr);
    EXPECT_EQ(got->table, "/http.total");
    EXPECT_EQ(got->cells, std::vector<std::uint64_t>{12});
    EXPECT_TRUE(got->timed);
    EXPECT_GT(got->remaining, Duration(0));
    EXPECT_LE(got->remaining, kTotal.expire);
    EXPECT_NE(got->update_id, 0U);
  }
}

TEST(PublishingTest, AReplayCountsOnce) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  announce(lb1, kStart);
  for (int replay = 0; replay < 3; ++replay) {
    lb1.push(1, kInput, "joe", 4, {5});
    lb1.exchange(kStart + seconds(replay));
  }
  ASSERT_NE(last_of(lb1, "joe"), nullptr);
  EXPECT_EQ(last_of(lb1, "joe")->cells, std::vector<std::uint64_t>{5});
  EXPECT_EQ(lb1.received.size(), 1U) << "a repeat changes nothing, so nothing is sent";
}

TEST(PublishingTest, NothingIsSentBeforeTheInstanceHasAnnouncedTheTable) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  lb1.push(1, kInput, "joe", 1, {5});
  lb1.exchange(kStart + seconds(1));
  EXPECT_TRUE(lb1.defined.empty());
  lb1.session().select(2, kTotal);
  lb1.exchange(kStart + seconds(2));
  EXPECT_EQ(lb1.defined, std::vector<std::string>{"/http.total"});
}

TEST(PublishingTest, AnOutputThatComesBackIsNotCounted) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  announce(lb1, kStart);
  lb1.push(1, kInput, "joe", 1, {5});
  lb1.push(2, kTotal, "joe", 1, {99});
  lb1.exchange(kStart + seconds(1));
  EXPECT_EQ(agent.registry.find("http.total"), nullptr);
  EXPECT_EQ(last_of(lb1, "joe")->cells, std::vector<std::uint64_t>{5});
}

TEST(PublishingTest, AKeyIsSentAtMostOncePerPublishInterval) {
  HubSetup setup = Agent::default_setup();
  setup.publish_interval = milliseconds(100);
  Agent agent(setup);
  Instance lb1(agent.hub, "lb1", 10, kStart);
  announce(lb1, kStart);
  for (std::uint32_t change = 1; change <= 100; ++change) {
    lb1.push(1, kInput, "joe", change, {change});
    lb1.exchange(kStart + milliseconds(5) * change);
  }
  lb1.exchange(kStart + seconds(1));
  EXPECT_LE(lb1.received.size(), 7U);
  EXPECT_EQ(last_of(lb1, "joe")->cells, std::vector<std::uint64_t>{100});
}

TEST(PublishingTest, ASlowReceiverGetsOnlyTheNewestStateAndDelaysNobody) {
  Agent agent;
  Instance slow(agent.hub, "lb1", 10, kStart);
  Instance lb2(agent.hub, "lb2", 20, kStart);
  announce(slow, kStart);
  announce(lb2, kStart);
  TimePoint now = kStart;
  for (std::uint32_t change = 1; change <= 200; ++change) {
    for (int key = 0; key < 50; ++key)
      lb2.push(1, kInput, "key" + std::to_string(key), change * 50, {change});
    now += milliseconds(20);
    lb2.exchange(now);
  }
  EXPECT_EQ(last_of(lb2, "key7")->cells, std::vector<std::uint64_t>{200});
  EXPECT_LT(agent.registry.find("http")->output->feed().size(), 3000U);
  slow.exchange(now);
  EXPECT_EQ(last_of(slow, "key7")->cells, std::vector<std::uint64_t>{200});
}

TEST(PublishingTest, AContributionThatExpiresLowersTheTotal) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  Instance lb2(agent.hub, "lb2", 20, kStart);
  announce(lb1, kStart);
  announce(lb2, kStart);
  lb1.push(1, kInput, "joe", 1, {5});
  lb1.exchange(kStart);
  const TimePoint later = kStart + std::chrono::minutes(5);
  lb2.push(1, kInput, "joe", 1, {7});
  lb2.exchange(later);
  EXPECT_EQ(last_of(lb2, "joe")->cells, std::vector<std::uint64_t>{12});
  const TimePoint after = kStart + std::chrono::minutes(10) + seconds(2);
  lb2.exchange(after);
  EXPECT_EQ(last_of(lb2, "joe")->cells, std::vector<std::uint64_t>{7});
  EXPECT_LE(last_of(lb2, "joe")->remaining, std::chrono::minutes(5));
}

TEST(PublishingTest, ARefreshIsSentWhenTheEndHasMovedByATenthOfExpire) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  announce(lb1, kStart);
  lb1.push(1, kInput, "joe", 1, {5});
  lb1.exchange(kStart);
  lb1.push(1, kInput, "joe", 2, {5});
  lb1.exchange(kStart + seconds(30));
  EXPECT_EQ(lb1.received.size(), 1U);
  lb1.push(1, kInput, "joe", 3, {5});
  lb1.exchange(kStart + seconds(90));
  EXPECT_EQ(lb1.received.size(), 2U);
}

TEST(PublishingTest, ARefreshIsSentToWhoCameAfterTheEntryWasPublished) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  lb1.push(1, kInput, "joe", 1, {5}, seconds(60));
  lb1.exchange(kStart);
  lb1.exchange(kStart + seconds(1));
  lb1.session().select(2, kTotal);
  lb1.exchange(kStart + seconds(2));
  ASSERT_EQ(lb1.received.size(), 1U);
  EXPECT_EQ(lb1.received[0].remaining, seconds(58));
  lb1.push(1, kInput, "joe", 2, {5});
  lb1.exchange(kStart + seconds(3));
  ASSERT_EQ(lb1.received.size(), 2U);
  EXPECT_EQ(lb1.received[1].remaining, kTotal.expire);
}

TEST(PublishingTest, ResumesAfterTheLastAcknowledgedUpdateOfTheSameProcess) {
  Agent agent;
  {
    Instance lb1(agent.hub, "lb1", 10, kStart);
    announce(lb1, kStart);
    for (std::uint32_t id = 1; id <= 10; ++id) lb1.push(1, kInput, "old" + std::to_string(id), id, {1});
    lb1.exchange(kStart);
    lb1.exchange(kStart + seconds(1));
    EXPECT_EQ(lb1.received.size(), 10U);
    lb1.cut(kStart + seconds(1));
  }
  Instance same(agent.hub, "lb1", 10, kStart + seconds(2));
  announce(same, kStart + seconds(2));
  same.push(1, kInput, "new", 11, {1});
  same.exchange(kStart + seconds(3));
  ASSERT_EQ(same.received.size(), 1U);
  EXPECT_EQ(same.received[0].key, "new");
  same.cut(kStart + seconds(4));

  Instance other(agent.hub, "lb1", 11, kStart + seconds(5));
  announce(other, kStart + seconds(5));
  other.exchange(kStart + seconds(6));
  EXPECT_GE(other.received.size(), 11U) << "another process is sent everything";
}

TEST(PublishingTest, AReceiverWithOtherTypesGetsThoseThatTheInputHas) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  TableDefinition total = kTotal;
  total.types = {{DataType::kGpc0, 1, {}}, {DataType::kHttpReqCnt, 1, {}}};
  lb1.session().select(1, kInput);
  lb1.session().select(2, total);
  lb1.push(1, kInput, "joe", 1, {5});
  lb1.exchange(kStart);
  ASSERT_EQ(lb1.received.size(), 1U);
  EXPECT_EQ(lb1.received[0].cells, std::vector<std::uint64_t>{5});

  // Another instance's input stores the missing type too: from now on both are sent.
  Instance lb2(agent.hub, "lb2", 20, kStart);
  TableDefinition wider = kInput;
  wider.types = total.types;
  lb2.push(1, wider, "joe", 1, {3, 4});
  lb2.exchange(kStart + seconds(1));
  lb1.exchange(kStart + seconds(1));
  EXPECT_EQ(last_of(lb1, "joe")->cells, (std::vector<std::uint64_t>{3, 9}));
}

TEST(PublishingTest, ATotalTableWithAnotherPeriodIsAMismatch) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  TableDefinition input = kInput;
  input.types = {{DataType::kHttpReqRate, 1, seconds(10)}};
  TableDefinition total = kTotal;
  total.types = {{DataType::kHttpReqRate, 1, seconds(30)}};
  lb1.push(1, input, "joe", 1, {0, 5, 0});
  lb1.session().select(2, total);
  lb1.exchange(kStart + seconds(1));
  EXPECT_TRUE(lb1.received.empty());
  EXPECT_EQ(agent.errors.count(Reason::kDefinitionMismatch), 1U);
  EXPECT_NE(agent.peer("lb1").link->problems().find("http_req_rate(30s)"), std::string::npos);
}

TEST(PublishingTest, ATotalTableThatIsDefinedAnewAgainAndAgainTakesNoMoreMemory) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  Instance lb2(agent.hub, "lb2", 20, kStart);
  announce(lb1, kStart);
  announce(lb2, kStart);
  TableDefinition total = kTotal;
  std::size_t memory = 0;
  for (int change = 1; change <= 100; ++change) {
    total.expire = seconds(change);
    lb1.session().select(2, total);
    lb1.exchange(kStart);
    if (change == 1) memory = agent.registry.find("http")->output->memory();
  }
  EXPECT_EQ(agent.registry.find("http")->output->memory(), memory);
  lb1.push(1, kInput, "joe", 1, {5});
  lb1.exchange(kStart + seconds(1));
  lb2.exchange(kStart + seconds(1));
  ASSERT_NE(last_of(lb1, "joe"), nullptr);
  EXPECT_EQ(last_of(lb1, "joe")->remaining, seconds(100));
  ASSERT_NE(last_of(lb2, "joe"), nullptr);
  EXPECT_EQ(last_of(lb2, "joe")->remaining, kTotal.expire);
}

TEST(PublishingTest, ARateThatStraysIsSentAgainWithoutAnotherMessage) {
  Agent agent;
  TableDefinition input = kInput;
  input.types = {{DataType::kHttpReqRate, 1, seconds(10)}};
  TableDefinition total = kTotal;
  total.types = input.types;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  Instance lb2(agent.hub, "lb2", 20, kStart);
  for (Instance* instance : {&lb1, &lb2}) {
    instance->session().select(1, input);
    instance->session().select(2, total);
  }
  lb1.push(1, input, "joe", 1, {2000, 20, 1000});
  lb2.push(1, input, "joe", 1, {7000, 600, 80});
  lb1.exchange(kStart);
  lb2.exchange(kStart);
  lb1.exchange(kStart + milliseconds(20));
  const std::size_t sent = lb1.received.size();
  for (int step = 1; step <= 1000; ++step) lb1.exchange(kStart + milliseconds(20 * step));
  EXPECT_GT(lb1.received.size(), sent);
}

TEST(PublishingTest, RatesAreWatchedForThoseWhoGetThem) {
  Agent agent;
  TableDefinition input = kInput;
  input.types = {{DataType::kHttpReqRate, 1, seconds(10)}};
  TableDefinition total = kTotal;
  total.types = input.types;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  Instance lb2(agent.hub, "lb2", 20, kStart);
  lb1.session().select(1, input);
  lb1.push(1, input, "joe", 1, {2000, 20, 1000});
  lb2.session().select(1, input);
  lb2.push(1, input, "joe", 1, {7000, 600, 80});
  lb1.exchange(kStart);
  lb2.exchange(kStart);
  lb1.exchange(kStart + milliseconds(20));
  const Output& output = *agent.registry.find("http")->output;
  EXPECT_GE(output.published(), 1U);
  EXPECT_FALSE(output.strays_waiting()) << "nobody gets it";
  lb1.session().select(2, total);
  lb1.exchange(kStart + milliseconds(22));
  ASSERT_EQ(lb1.received.size(), 1U);
  EXPECT_TRUE(output.strays_waiting());
  for (int step = 2; step <= 1000; ++step) lb1.exchange(kStart + milliseconds(20 * step));
  EXPECT_GT(lb1.received.size(), 1U);
}

TEST(PublishingTest, TheSecondTableOfOneNameIsAMismatch) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  lb1.push(1, kInput, "joe", 1, {5});
  lb1.push(2, counter_table("http"), "joe", 1, {7});
  lb1.exchange(kStart);
  EXPECT_EQ(agent.errors.count(Reason::kDefinitionMismatch), 1U);
  EXPECT_EQ(agent.registry.find("http")->table->contributions(), 1U);
}

}  // namespace
}  // namespace stickmesh::pipeline
