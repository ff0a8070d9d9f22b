#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "agent/store/table.h"
#include "tests/unit/store/table_fixture.h"

namespace stickmesh::store {
namespace {

const TableDefinition kDefinition = definition_of({{DataType::kGpt0},
                                                   {DataType::kGpc0},
                                                   {DataType::kHttpReqRate, 1, Duration(10'000)},
                                                   {DataType::kBytesInCnt},
                                                   {DataType::kServerKey}});

/// Two agents' copies of one table.
class CopiesTest : public testing::Test {
 protected:
  struct Holder {
    explicit Holder(bool single = false)
        : table("http", kDefinition, default_merges(), 0, world.shared, at(0), single) {}
    World world;
    Table table;
  };

  /// |to| hears what |from| has of that origin's |key|.
  static Applied tell(const Holder& from, Holder& to, std::string_view key, std::string_view origin,
                      TimePoint now) {
    CopyBuffer buffer;
    const ContributionId id = contribution(from.table, key, from.world.origins.find(origin).value());
    Copy copy = from.table.copy(id, buffer, now);
    const Plan plan = make_plan(from.table.copied_definition(copy.origin), to.table.layout());
    copy.origin = to.world.origin(origin);
    return to.table.adopt(plan, copy, now);
  }
  static std::uint64_t gpc0(const Holder& holder, std::string_view key, std::string_view origin) {
    const Table& table = holder.table;
    return table.number(contribution(table, key, holder.world.origins.find(origin).value()),
                        column(table, DataType::kGpc0), 0);
  }
  Sender sender(Holder& holder, std::string_view origin) {
    return {holder.table, holder.world.origin(origin)};
  }

  static std::vector<std::uint64_t> values(std::uint64_t count) {
    return {count % 3, count, 1000, 4, 9, 1ULL << 40U, kTextSet};
  }

  Holder a_;
  Holder b_;
};

TEST_F(CopiesTest, ACopyIsTheWholeContribution) {
  Sender lb1 = sender(a_, "lb1");
  lb1.live("joe", values(1), at(0), "s1");
  lb1.live("joe", values(2), at(3000), "s2");
  sender(b_, "lb9");  // numbers of origins are each agent's own
  EXPECT_EQ(tell(a_, b_, "joe", "lb1", at(5000)), Applied::kChanged);
  const ContributionId ours = contribution(a_.table, "joe", a_.world.origin("lb1"));
  const ContributionId theirs = contribution(b_.table, "joe", b_.world.origin("lb1"));
  EXPECT_EQ(b_.table.version(theirs), a_.table.version(ours));
  EXPECT_EQ(b_.table.expires(theirs), a_.table.expires(ours));
  for (const DataType type : {DataType::kGpt0, DataType::kGpc0, DataType::kBytesInCnt}) {
    EXPECT_EQ(b_.table.number(theirs, column(b_.table, type), 0),
              a_.table.number(ours, column(a_.table, type), 0));
  }
  for (const DataType type : {DataType::kGpt0, DataType::kServerKey}) {
    EXPECT_NE(b_.table.change_number(theirs, column(b_.table, type), 0), 0U);
    EXPECT_EQ(b_.table.change_number(theirs, column(b_.table, type), 0),
              a_.table.change_number(ours, column(a_.table, type), 0));
  }
  EXPECT_EQ(b_.table.text(theirs, column(b_.table, DataType::kServerKey)), "s2");
  const RateValue rate = b_.table.rate(theirs, column(b_.table, DataType::kHttpReqRate), 0);
  EXPECT_EQ(rate.start, at(2000));
  EXPECT_EQ(rate.current, 4U);
  EXPECT_EQ(rate.previous, 9U);
  EXPECT_EQ(b_.world.lamport, a_.world.lamport);
}

TEST_F(CopiesTest, OnlyANewerVersionIsTaken) {
  Sender lb1 = sender(a_, "lb1");
  Sender same = sender(b_, "lb1");
  same.version = {1, 0xfffffffe};
  same.live("joe", values(5), at(0), "s1");  // 0xffffffff
  lb1.version = {1, 0xfffffffd};
  lb1.live("joe", values(4), at(0), "s1");
  EXPECT_EQ(tell(a_, b_, "joe", "lb1", at(10)), Applied::kStale);
  lb1.version = {1, 0};
  lb1.live("joe", values(6), at(0), "s1");
  EXPECT_EQ(tell(a_, b_, "joe", "lb1", at(10)), Applied::kChanged) << "ids go round";
  EXPECT_EQ(tell(a_, b_, "joe", "lb1", at(10)), Applied::kStale) << "the same once more";
  EXPECT_EQ(gpc0(b_, "joe", "lb1"), 6U);
  lb1.version = {2, 0};
  lb1.live("joe", values(1), at(20), "s1");
  EXPECT_EQ(tell(a_, b_, "joe", "lb1", at(20)), Applied::kChanged) << "a younger process";
  EXPECT_EQ(gpc0(b_, "joe", "lb1"), 1U);
}

TEST_F(CopiesTest, WhatTheOriginSaidBeforeACopyIsStale) {
  Sender lb1 = sender(a_, "lb1");
  Sender late = sender(b_, "lb1");
  late.live("joe", values(1), at(0));
  for (std::uint64_t count = 1; count <= 5; ++count) lb1.live("joe", values(count), at(0));
  tell(a_, b_, "joe", "lb1", at(10));
  EXPECT_EQ(late.live("joe", values(2), at(20)), Applied::kStale);
  EXPECT_EQ(gpc0(b_, "joe", "lb1"), 5U);
  late.version = {1, 5};
  EXPECT_EQ(late.live("joe", values(6), at(30)), Applied::kChanged);
  EXPECT_EQ(gpc0(b_, "joe", "lb1"), 6U);
}

TEST_F(CopiesTest, NothingExpiredComesBackAndNoLifeIsLongerThanTheTables) {
  Sender lb1 = sender(a_, "lb1");
  lb1.live("joe", values(1), at(0));
  EXPECT_EQ(tell(a_, b_, "joe", "lb1", at(10'000)), Applied::kStale);
  EXPECT_EQ(b_.table.entries(), 0U);
  CopyBuffer buffer;
  Copy copy = a_.table.copy(contribution(a_.table, "joe", a_.world.origin("lb1")), buffer, at(0));
  const Plan plan = make_plan(kDefinition, b_.table.layout());
  copy.origin = b_.world.origin("lb1");
  copy.expires = at(1'000'000'000);
  EXPECT_EQ(b_.table.adopt(plan, copy, at(100)), Applied::kChanged);
  EXPECT_EQ(b_.table.expires(contribution(b_.table, "joe", copy.origin)), at(10'100));
}

TEST_F(CopiesTest, AClearedKeyIsClearedInTheCopyAndNothingOlderBringsItBack) {
  Sender lb1 = sender(a_, "lb1");
  lb1.live("joe", values(7), at(0), "s1");
  tell(a_, b_, "joe", "lb1", at(0));
  Holder old;
  tell(a_, old, "joe", "lb1", at(0));
  a_.table.clear(a_.table.find(as_bytes("joe")), at(10), [](OriginId) { return false; });
  EXPECT_EQ(tell(a_, b_, "joe", "lb1", at(10)), Applied::kChanged);
  EXPECT_TRUE(b_.table.cleared(b_.table.find(as_bytes("joe"))));
  EXPECT_EQ(gpc0(b_, "joe", "lb1"), 0U);
  EXPECT_EQ(tell(old, b_, "joe", "lb1", at(20)), Applied::kStale);
  lb1.live("joe", values(1), at(30), "s1");
  EXPECT_EQ(tell(a_, b_, "joe", "lb1", at(30)), Applied::kChanged);
  EXPECT_EQ(gpc0(b_, "joe", "lb1"), 1U);
}

TEST_F(CopiesTest, OfAReplicatedEntryTheLastChangeStaysWhoeverAcceptedIt) {
  Holder a(true);
  Holder b(true);
  Sender at_a = sender(a, "agent-a");
  Sender at_b = sender(b, "agent-b");
  at_a.version = {0, 6};
  at_b.version = {0, 6};
  at_a.live("joe", values(1), at(0));
  at_b.live("joe", values(2), at(0));  // both 7: the larger name decides
  EXPECT_EQ(tell(b, a, "joe", "agent-b", at(10)), Applied::kChanged);
  EXPECT_EQ(gpc0(a, "joe", "agent-b"), 2U);
  EXPECT_EQ(a.table.contributions(), 1U);
  EXPECT_EQ(a.world.origins[a.world.origin("agent-a")].contributions, 0U);
  EXPECT_EQ(a.world.lamport, 7U);
  at_a.version = {0, 7};
  EXPECT_EQ(at_a.live("joe", values(3), at(20)), Applied::kChanged);
  EXPECT_EQ(a.table.contributions(), 1U);
  EXPECT_EQ(tell(a, b, "joe", "agent-a", at(30)), Applied::kChanged);
  EXPECT_EQ(gpc0(b, "joe", "agent-a"), 3U);
}

}  // namespace
}  // namespace stickmesh::store
