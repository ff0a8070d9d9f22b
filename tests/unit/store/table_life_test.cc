#include <gtest/gtest.h>

#include <memory>

#include "agent/store/table.h"
#include "tests/unit/store/table_fixture.h"

namespace stickmesh::store {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

class TableLifeTest : public testing::Test {
 protected:
  Table& make(Duration expire) {
    table_ = std::make_unique<Table>("http", definition_of({{DataType::kGpc0}}, expire), default_merges(), 0,
                                     world_.shared, at(0));
    return *table_;
  }
  Sender sender(std::string_view name) { return {*table_, world_.origin(name)}; }
  TimePoint expires(std::string_view key, const Sender& from) const {
    return table_->expires(contribution(*table_, key, from.origin()));
  }
  void expire(std::int64_t now) { EXPECT_TRUE(table_->expire(at(now), kEverything)); }

  World world_;
  std::unique_ptr<Table> table_;
};

TEST_F(TableLifeTest, ALiveUpdateStartsTheLifeAnew) {
  Table& table = make(Duration(2000));
  Sender lb1 = sender("lb1");
  lb1.live("k", {1}, at(0));
  lb1.live("k", {1}, at(1500));
  EXPECT_EQ(expires("k", lb1), at(3500));
  expire(3400);
  EXPECT_EQ(table.entries(), 1U);
  EXPECT_TRUE(table.live(contribution(table, "k", lb1.origin()), at(3499)));
  EXPECT_FALSE(table.live(contribution(table, "k", lb1.origin()), at(3500)));
  expire(3501);
  EXPECT_EQ(table.entries(), 0U);
  EXPECT_EQ(table.contributions(), 0U);
  EXPECT_EQ(table.counters().expired, 1U);
  EXPECT_EQ(table.find(as_bytes("k")), kNone);
}

TEST_F(TableLifeTest, AnotherLifeTimeCutsWhatIsLeft) {
  Table& table = make(seconds(10));
  Sender lb1 = sender("lb1");
  lb1.live("old", {1}, at(0));
  lb1.live("new", {1}, at(8000));
  table.change_expire(seconds(3), at(8000));
  EXPECT_EQ(expires("old", lb1), at(10'000));
  EXPECT_EQ(expires("new", lb1), at(11'000));
  expire(10'900);
  EXPECT_EQ(table.entries(), 1U);
  expire(11'100);
  EXPECT_EQ(table.entries(), 0U);
}

TEST_F(TableLifeTest, AnUnlimitedLifeBecomesAFullOneAndBack) {
  Table& table = make(Duration(0));
  Sender lb1 = sender("lb1");
  lb1.live("k", {1}, at(0));
  table.change_expire(seconds(10), hours(1) + at(0));
  EXPECT_EQ(expires("k", lb1), at(3'610'000));
  table.change_expire(Duration(0), hours(1) + at(0));
  expire(10 * 3'600'000);
  EXPECT_EQ(table.entries(), 1U);
  table.change_expire(seconds(10), at(10 * 3'600'000));
  expire(10 * 3'600'000 + 11'000);
  EXPECT_EQ(table.entries(), 0U);
}

TEST_F(TableLifeTest, AContributionLeavesTheSumAloneAndTheEntryWithTheLast) {
  Table& table = make(Duration(2000));
  Sender lb1 = sender("lb1");
  Sender lb2 = sender("lb2");
  lb1.live("k", {1}, at(0));
  lb2.live("k", {10}, at(1000));
  expire(2001);
  EXPECT_EQ(sum_of(table, "k", DataType::kGpc0), 10U);
  EXPECT_EQ(contributions_of(table, "k"), 1U);
  EXPECT_EQ(table.end(table.find(as_bytes("k"))), at(3000));
  expire(3001);
  EXPECT_EQ(table.entries(), 0U);
}

TEST_F(TableLifeTest, TheRemainingTimeOfALessonIsTakenAsItIs) {
  Table& table = make(Duration(4000));
  Sender lb1 = sender("lb1");
  lb1.lesson("k", {1}, Duration(300), at(0));
  EXPECT_EQ(expires("k", lb1), at(300));
  lb1.live("long", {1}, at(0));
  lb1.lesson("long", {1}, Duration(500), at(100));  // shorter than what we have
  EXPECT_EQ(expires("long", lb1), at(600));
  lb1.lesson("much", {1}, hours(5), at(0));  // never more than the table's own
  EXPECT_EQ(expires("much", lb1), at(4000));
  expire(301);
  EXPECT_EQ(table.find(as_bytes("k")), kNone);
  expire(601);
  EXPECT_EQ(table.find(as_bytes("long")), kNone);
  EXPECT_NE(table.find(as_bytes("much")), kNone);
}

TEST_F(TableLifeTest, RepeatingALessonsUpdateIdDoesNotStartTheLifeAnew) {
  Table& table = make(Duration(4000));
  Sender lb1 = sender("lb1");
  lb1.lesson("k", {1}, Duration(300), at(0));
  EXPECT_EQ(lb1.repeat("k", {1}, at(100)), Applied::kRefreshed);
  EXPECT_EQ(expires("k", lb1), at(300));
  EXPECT_EQ(lb1.repeat("k", {1}, at(200)), Applied::kRefreshed);
  EXPECT_EQ(expires("k", lb1), at(300));
  expire(301);
  EXPECT_EQ(table.entries(), 0U);
}

TEST_F(TableLifeTest, ANewerUpdateAfterALessonStartsTheLifeAnew) {
  make(Duration(4000));
  Sender lb1 = sender("lb1");
  lb1.lesson("k", {1}, Duration(300), at(0));
  lb1.live("k", {1}, at(100));
  EXPECT_EQ(expires("k", lb1), at(4100));
  lb1.repeat("k", {1}, at(500));  // the live one again: a resumed session pushes untimed
  EXPECT_EQ(expires("k", lb1), at(4100));
}

TEST_F(TableLifeTest, AnUpdateIdThatWaitedAndWasCountedAgainStartsTheLifeAnew) {
  make(Duration(4000));
  Sender lb1 = sender("lb1");
  lb1.lesson("k", {1}, Duration(300), at(0));
  EXPECT_EQ(lb1.repeat("k", {2}, at(100)), Applied::kChanged);
  EXPECT_EQ(expires("k", lb1), at(4100));
}

TEST_F(TableLifeTest, TheSameUpdateIdOfAnotherGenerationIsAnotherUpdate) {
  make(Duration(4000));
  Sender lb1 = sender("lb1");
  lb1.lesson("k", {1}, Duration(300), at(0));
  lb1.version.generation = 2;
  lb1.repeat("k", {1}, at(100));
  EXPECT_EQ(expires("k", lb1), at(4100));
}

TEST_F(TableLifeTest, ALessonsLifeIsHeldAlsoByAnEarlierLongerOne) {
  Table& table = make(Duration(4000));
  Sender lb1 = sender("lb1");
  lb1.live("k", {1}, at(0));
  lb1.lesson("k", {1}, Duration(50), at(1000));
  lb1.live("k", {1}, at(1010));
  expire(1200);
  EXPECT_EQ(table.entries(), 1U);
  EXPECT_EQ(expires("k", lb1), at(5010));
  expire(5009);
  EXPECT_EQ(table.entries(), 1U);
  expire(5011);
  EXPECT_EQ(table.entries(), 0U);
}

TEST_F(TableLifeTest, ExpiryIsTakenInSlices) {
  Table& table = make(Duration(1000));
  Sender lb1 = sender("lb1");
  for (int key = 0; key < 100; ++key) lb1.live(std::to_string(key), {1}, at(key));
  int slices = 0;
  while (!table.expire(at(5000), 30)) {
    ++slices;
    EXPECT_EQ(table.entries(), 100U - 30U * static_cast<unsigned>(slices));
  }
  EXPECT_EQ(slices, 3);
  EXPECT_EQ(table.entries(), 0U);
}

TEST_F(TableLifeTest, ALongLifeSurvivesManyTurnsOfTheWheel) {
  Table& table = make(hours(48));
  Sender lb1 = sender("lb1");
  lb1.live("early", {1}, at(0));
  lb1.live("late", {1}, at(60'000));
  const std::int64_t end = std::chrono::milliseconds(hours(48)).count();
  for (std::int64_t now = 0; now <= end; now += 600'000) expire(now);
  EXPECT_EQ(table.entries(), 2U);
  expire(end + 2000);
  EXPECT_EQ(table.find(as_bytes("early")), kNone);
  EXPECT_NE(table.find(as_bytes("late")), kNone);
  expire(end + 62'000);
  EXPECT_EQ(table.entries(), 0U);
}

TEST_F(TableLifeTest, NothingIsMissedAfterAPauseLongerThanTheWheel) {
  Table& table = make(Duration(1000));
  Sender lb1 = sender("lb1");
  for (int key = 0; key < 1000; ++key) lb1.live(std::to_string(key), {1}, at(key));
  expire(1'000'000);
  EXPECT_EQ(table.entries(), 0U);
  lb1.live("k", {1}, at(1'000'000));
  expire(1'001'000);
  EXPECT_EQ(table.entries(), 1U);
  expire(1'001'001);
  EXPECT_EQ(table.entries(), 0U);
}

TEST_F(TableLifeTest, ATableWithoutExpireKeepsItsEntries) {
  Table& table = make(Duration(0));
  Sender lb1 = sender("lb1");
  Sender lb2 = sender("lb2");
  lb1.live("k", {1}, at(0));
  lb2.lesson("k", {2}, Duration(0), at(0));  // HAProxy sends 0 for such a table
  lb2.lesson("other", {2}, Duration(10), at(0));
  const std::int64_t year = std::chrono::milliseconds(hours(24 * 365)).count();
  for (std::int64_t now = 0; now < year; now += year / 50) expire(now);
  EXPECT_EQ(table.entries(), 2U);
  EXPECT_EQ(sum_of(table, "k", DataType::kGpc0), 3U);
  EXPECT_TRUE(table.live(contribution(table, "k", lb2.origin()), at(year)));
  EXPECT_EQ(table.counters().expired, 0U);
}

TEST_F(TableLifeTest, RedefiningStartsOver) {
  Table& table = make(seconds(10));
  Sender lb1 = sender("lb1");
  for (int key = 0; key < 1000; ++key) lb1.live(std::to_string(key), {1}, at(0));
  TableDefinition other = definition_of({{DataType::kGpt0}, {DataType::kServerKey}}, seconds(1));
  other.key_size = 5;
  other.name = "ignored";
  const std::uint32_t number = table.layout_number();
  table.redefine(other, at(100));
  EXPECT_NE(table.layout_number(), number);
  EXPECT_EQ(table.definition().name, "http");
  EXPECT_EQ(table.entries(), 0U);
  EXPECT_EQ(table.contributions(), 0U);
  EXPECT_EQ(table.find(as_bytes("7")), kNone);
  EXPECT_EQ(table.next(0), kNone);
  EXPECT_EQ(table.memory(), world_.budget.used());

  Sender again = sender("lb1");
  again.live("7", {5, kTextSet}, at(200), "srv1");
  EXPECT_EQ(expires("7", again), at(1200));
  expire(5000);
  EXPECT_EQ(table.entries(), 0U);
}

TEST_F(TableLifeTest, ATableThatGoesReturnsItsMemoryAndItsTexts) {
  {
    Table table("sessions", definition_of({{DataType::kServerKey}}), default_merges(), 0, world_.shared,
                at(0));
    Sender lb1(table, world_.origin("lb1"));
    for (int key = 0; key < 500; ++key) lb1.live(std::to_string(key), {kTextSet}, at(0), "srv1");
    EXPECT_EQ(table.memory(), world_.budget.used());
  }
  EXPECT_EQ(world_.budget.used(), 0U);
  EXPECT_EQ(world_.texts.text(1), "");
}

}  // namespace
}  // namespace stickmesh::store
