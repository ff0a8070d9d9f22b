#include <gtest/gtest.h>

#include "instance.h"

namespace stickmesh::pipeline {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const TableDefinition kPlainInput = counter_table("http");
const TableDefinition kPlainTotal = counter_table("http.total");

TEST(LessonTest, ASessionStartsWithARequestForALesson) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  EXPECT_EQ(lb1.lessons_asked, 1);
  EXPECT_TRUE(agent.peer("lb1").link->synchronised());
}

TEST(LessonTest, APartialLessonIsAskedForAgainAfterASecond) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  lb1.lesson_complete = false;
  lb1.session().request_lesson(kStart);
  lb1.exchange(kStart);
  const int asked = lb1.lessons_asked;
  lb1.exchange(kStart + milliseconds(500));
  EXPECT_EQ(lb1.lessons_asked, asked);
  lb1.lesson_complete = true;
  lb1.exchange(kStart + milliseconds(1001));
  EXPECT_EQ(lb1.lessons_asked, asked + 2) << "and once more: it may have been taught while it answered";
}

TEST(LessonTest, OneThatIsNeverEndedDoesNotKeepTheLoopBusy) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart, "agent-1", /*complete=*/false);
  lb1.answers_lessons = false;
  lb1.session().request_lesson(kStart);
  lb1.exchange(kStart);
  const TimePoint later = kStart + seconds(10);
  lb1.exchange(later);
  const auto next = agent.hub.run(later);
  EXPECT_TRUE(!next || *next > later) << "asking again waits for the end of the lesson that was asked for";
}

// A session that is over is not served, though its last bytes may still wait for their reader.
TEST(LessonTest, OneThatIsDueInASessionThatIsOverDoesNotKeepTheLoopBusy) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  lb1.answers_lessons = false;
  lb1.session().request_lesson(kStart);
  lb1.exchange(kStart);
  agent.peer("lb1").link->session().close({Reason::kReplacedSession, {}});
  const TimePoint later = kStart + seconds(10);
  const auto next = agent.hub.run(later);
  EXPECT_TRUE(!next || *next > later);
}

TEST(LessonTest, EveryRequestIsAnsweredWithTheTotalsAndOneEnd) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  Instance lb2(agent.hub, "lb2", 20, kStart);
  lb2.push(1, kPlainInput, "joe", 1, {5});
  lb2.exchange(kStart);
  lb1.teach = [&] { lb1.session().select(2, kPlainTotal); };
  lb1.session().request_lesson(kStart + seconds(1));
  lb1.exchange(kStart + seconds(1));
  EXPECT_EQ(lb1.lessons_ended, 1);
  ASSERT_EQ(lb1.received.size(), 1U);
  EXPECT_EQ(lb1.received[0].key, "joe");
  EXPECT_TRUE(lb1.received[0].timed);
}

TEST(LessonTest, ARequestIsAnsweredThoughNothingCanBeTaught) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  lb1.session().request_lesson(kStart);
  lb1.exchange(kStart);
  EXPECT_EQ(lb1.lessons_ended, 1);
}

TEST(LessonTest, ARequestIsAnsweredThoughTheInstanceNeverEndsItsOwnLesson) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  lb1.answers_lessons = false;
  lb1.session().request_lesson(kStart);
  lb1.exchange(kStart);
  EXPECT_EQ(lb1.lessons_ended, 0);
  lb1.exchange(kStart + milliseconds(2001));
  EXPECT_EQ(lb1.lessons_ended, 1);
}

TEST(LessonTest, ALessonGivesAnEntryNoSecondLife) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  lb1.push(1, kPlainInput, "joe", 3, {5}, seconds(60));
  lb1.exchange(kStart);
  // HAProxy repeats, untimed, what it had not seen acknowledged.
  lb1.push(1, kPlainInput, "joe", 3, {5});
  lb1.exchange(kStart + seconds(1));
  store::Table& table = *agent.registry.find("http")->table;
  EXPECT_EQ(table.end(table.find(as_bytes("joe"))), kStart + seconds(60));
  lb1.push(1, kPlainInput, "joe", 4, {6});
  lb1.exchange(kStart + seconds(2));
  EXPECT_EQ(table.end(table.find(as_bytes("joe"))), kStart + seconds(2) + kPlainInput.expire);
}

TEST(LessonTest, WhatHasNoLifeLeftIsNotTaken) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  lb1.push(1, kPlainInput, "joe", 3, {5}, Duration(0));
  lb1.exchange(kStart);
  EXPECT_EQ(agent.registry.find("http")->table->entries(), 0U);
}

TEST(LessonTest, AnInstanceThatLostItsTablesGetsItsOwnLargerCountersBack) {
  Agent agent;
  Instance lb2(agent.hub, "lb2", 20, kStart);
  lb2.push(1, kPlainInput, "joe", 1, {1000});
  lb2.push(1, kPlainInput, "eve", 2, {5});
  lb2.exchange(kStart);
  {
    Instance before(agent.hub, "lb1", 10, kStart);
    before.push(1, kPlainInput, "joe", 1, {30});
    before.push(1, kPlainInput, "amy", 2, {4});
    before.exchange(kStart);
  }
  const store::Table& table = *agent.registry.find("http")->table;
  const store::OriginId origin = agent.peer("lb1").origin;
  const auto count = [&](const char* key) {
    return table.number(table.find(table.find(as_bytes(key)), origin), table.layout().columns()[0], 0);
  };
  const TimePoint later = kStart + seconds(5);
  Instance after(agent.hub, "lb1", 11, later);
  after.teach = [&] {
    after.push(1, kPlainInput, "joe", 3, {2}, seconds(500));
    after.push(1, kPlainInput, "amy", 4, {9}, seconds(500));
  };
  after.session().request_lesson(later);
  after.push(1, kPlainInput, "joe", 2, {1});
  after.exchange(later);
  ASSERT_EQ(after.received.size(), 1U) << "amy has counted more meanwhile, and eve is another origin's";
  EXPECT_EQ(after.received[0].table, "http");
  EXPECT_EQ(after.received[0].key, "joe");
  EXPECT_EQ(after.received[0].cells, std::vector<std::uint64_t>{30});
  EXPECT_EQ(after.lessons_ended, 1);
  EXPECT_GE(after.lessons_asked, 2) << "it is asked what it made of that";
  EXPECT_EQ(count("amy"), 9U);
  after.push(1, kPlainInput, "joe", 9, {3});
  after.exchange(later + seconds(1));
  EXPECT_EQ(count("joe"), 3U) << "from then on what it says is taken, smaller or not";
}

TEST(LessonTest, ANewProcessIsBelievedOnceItsLessonIsComplete) {
  Agent agent;
  {
    Instance before(agent.hub, "lb1", 10, kStart);
    before.push(1, kPlainInput, "joe", 1, {30});
    before.exchange(kStart);
  }
  const store::Table& table = *agent.registry.find("http")->table;
  const auto sum = [&] { return table.sum(table.find(as_bytes("joe")), table.layout().columns()[0], 0).low; };
  Instance after(agent.hub, "lb1", 11, kStart + seconds(1), "agent-1", /*complete=*/false);
  after.teach = [&] { after.push(1, kPlainInput, "joe", 1, {2}, seconds(500)); };
  after.exchange(kStart + milliseconds(2001));
  EXPECT_EQ(sum(), 30U) << "it may still be learning";
  after.lesson_complete = true;
  after.exchange(kStart + milliseconds(3002));
  EXPECT_EQ(sum(), 2U) << "it has all it will have";
}

TEST(LessonTest, ANewProcessThatReconnectsBeforeItIsCompleteGetsTheTotalsAgain) {
  Agent agent;
  { Instance before(agent.hub, "lb1", 10, kStart); }
  Instance lb2(agent.hub, "lb2", 20, kStart);
  lb2.push(1, kPlainInput, "joe", 1, {5});
  lb2.exchange(kStart);
  const TimePoint later = kStart + seconds(1);
  {
    Instance first(agent.hub, "lb1", 11, later, "agent-1", /*complete=*/false);
    first.session().select(2, kPlainTotal);
    first.exchange(later);
    ASSERT_EQ(first.received.size(), 1U);
  }
  // Now the old process teaches it an older copy; it says so in no way but that it is complete from then on.
  Instance second(agent.hub, "lb1", 11, later + seconds(1), "agent-1", /*complete=*/false);
  second.session().select(2, kPlainTotal);
  second.exchange(later + seconds(1));
  const std::size_t before = second.received.size();
  second.lesson_complete = true;
  second.exchange(later + milliseconds(2100));
  EXPECT_EQ(second.received.size(), before + 1) << "once it is complete, all is sent again";
}

TEST(LessonTest, ASuccessorIsAskedTwice) {
  Agent agent;
  Instance before(agent.hub, "lb1", 10, kStart);
  EXPECT_EQ(before.lessons_asked, 1);
  Instance after(agent.hub, "lb1", 11, kStart + seconds(1));
  EXPECT_EQ(after.lessons_asked, 2)
      << "the old process may have taught it one table while it answered for another";
}

TEST(LessonTest, ARequestBeginsAGeneration) {
  Agent agent;
  Instance lb1(agent.hub, "lb1", 10, kStart);
  const store::OriginId origin = agent.peer("lb1").origin;
  const std::uint32_t before = agent.registry.origins()[origin].generation;
  lb1.session().request_lesson(kStart);
  lb1.exchange(kStart);
  EXPECT_EQ(agent.registry.origins()[origin].generation, before + 1);
}

}  // namespace
}  // namespace stickmesh::pipeline
