#include "agent/store/layout.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace stickmesh::store {
namespace {

using std::chrono::seconds;

// Every data type of HAProxy at once, arrays with several elements.
std::vector<StoredType> all_types() {
  std::vector<StoredType> types;
  for (std::size_t index = 0; index < kDataTypeCount; ++index) {
    StoredType stored{static_cast<DataType>(index)};
    if (kDataTypes[index].array) stored.elements = 5;
    if (kDataTypes[index].kind == ValueKind::kRate) stored.period = seconds(10);
    types.push_back(stored);
  }
  return types;
}

std::uint32_t sum_stride(const Column& column) {
  if (!column.summed) return 0;
  return column.kind == ValueKind::kUnsigned64 ? 4 : 2;
}

void expect_words_used_once(const Layout& layout) {
  std::set<std::uint32_t> values;
  std::set<std::uint32_t> sums;
  for (const Column& column : layout.columns()) {
    for (std::uint32_t word = 0; word < column.stride * column.elements; ++word) {
      EXPECT_TRUE(values.insert(column.offset + word).second) << traits(column.type).name;
    }
    for (std::uint32_t word = 0; word < sum_stride(column) * column.elements; ++word) {
      EXPECT_TRUE(sums.insert(column.sum_offset + word).second) << traits(column.type).name;
    }
  }
  EXPECT_EQ(values.size(), layout.value_words());
  EXPECT_EQ(sums.size(), layout.sum_words());
  EXPECT_TRUE(values.empty() || *values.rbegin() == layout.value_words() - 1);
  EXPECT_TRUE(sums.empty() || *sums.rbegin() == layout.sum_words() - 1);
}

TEST(LayoutTest, GivesEachValueWordsOfItsOwn) {
  expect_words_used_once(Layout(all_types(), default_merges()));
  for (const Merge merge : {Merge::kSum, Merge::kMax, Merge::kLastChange}) {
    Merges merges = default_merges();
    for (std::size_t index = 0; index < kDataTypeCount; ++index) {
      if (kDataTypes[index].kind != ValueKind::kRate) merges[index] = merge;
    }
    expect_words_used_once(Layout(all_types(), merges));
  }
  expect_words_used_once(Layout({}, default_merges()));
}

TEST(LayoutTest, KeepsSumsOnlyOfCountsAndChangeNumbersOnlyWhereTheLastChangeCounts) {
  const Layout layout(all_types(), default_merges());
  for (const Column& column : layout.columns()) {
    EXPECT_EQ(column.summed, column.merge == Merge::kSum) << traits(column.type).name;
    EXPECT_EQ(column.changes, column.merge == Merge::kLastChange) << traits(column.type).name;
  }
  EXPECT_TRUE(layout.find(DataType::kGpc0)->summed);
  EXPECT_FALSE(layout.find(DataType::kConnCur)->summed);
  EXPECT_TRUE(layout.find(DataType::kServerKey)->changes);
}

TEST(LayoutTest, FollowsTheFunctionChosenForAType) {
  Merges merges = default_merges();
  merges[static_cast<std::size_t>(DataType::kGpt0)] = Merge::kMax;
  merges[static_cast<std::size_t>(DataType::kGpc0)] = Merge::kLastChange;
  const Layout layout({{DataType::kGpt0}, {DataType::kGpc0}}, merges);
  EXPECT_FALSE(layout.find(DataType::kGpt0)->changes);
  EXPECT_EQ(layout.find(DataType::kGpt0)->stride, 1U);
  EXPECT_FALSE(layout.find(DataType::kGpc0)->summed);
  EXPECT_TRUE(layout.find(DataType::kGpc0)->changes);
  EXPECT_EQ(layout.sum_words(), 0U);
}

TEST(LayoutTest, FindsNoTypeThatIsNotStored) {
  const Layout layout({{DataType::kGpc0}}, default_merges());
  EXPECT_NE(layout.find(DataType::kGpc0), nullptr);
  EXPECT_EQ(layout.find(DataType::kGpc1), nullptr);
}

TEST(PlanTest, LeadsEachCellToItsColumn) {
  const Layout layout(all_types(), default_merges());
  TableDefinition sender;
  sender.types = {{DataType::kGpc0},   {DataType::kHttpReqRate, 1, seconds(10)}, {DataType::kServerKey},
                  {DataType::kGpc, 5}, {DataType::kGpcRate, 5, seconds(10)},     {DataType::kGlitchCnt}};
  const Plan plan = make_plan(sender, layout);
  const std::vector<std::uint32_t> cells = {0, 1, 4, 5, 10, 25};
  ASSERT_EQ(plan.steps.size(), sender.types.size());
  for (std::size_t index = 0; index < cells.size(); ++index) {
    EXPECT_EQ(plan.steps[index].cell, cells[index]);
    EXPECT_EQ(layout.columns()[plan.steps[index].column].type, sender.types[index].type);
    EXPECT_NE(plan.types & 1U << static_cast<unsigned>(sender.types[index].type), 0U);
  }
  EXPECT_EQ(plan.types & 1U << static_cast<unsigned>(DataType::kGpt0), 0U);
}

TEST(PlanTest, StepsOverTypesThatTheTableLacks) {
  const Layout layout({{DataType::kGpc0}, {DataType::kGpc1}}, default_merges());
  TableDefinition sender;
  sender.types = {{DataType::kGpc0}, {DataType::kHttpReqRate, 1, seconds(10)}, {DataType::kGpc1}};
  const Plan plan = make_plan(sender, layout);
  ASSERT_EQ(plan.steps.size(), 2U);
  EXPECT_EQ(plan.steps[1].cell, 4U);
  EXPECT_EQ(plan.steps[1].column, 1U);
}

class MismatchTest : public testing::Test {
 protected:
  MismatchTest() {
    standing_.key_type = KeyType::kString;
    standing_.key_size = 33;
    standing_.types = {{DataType::kGpc0}, {DataType::kHttpReqRate, 1, seconds(10)}, {DataType::kGpc, 3}};
    other_ = standing_;
  }

  TableDefinition standing_;
  TableDefinition other_;
};

TEST_F(MismatchTest, OtherSetsOfTypesNamesAndLifeTimesMayBeMixed) {
  EXPECT_FALSE(mismatch(standing_, other_).has_value());
  other_.name = "/http";
  other_.expire = seconds(5);
  other_.types = {{DataType::kGpt0}, {DataType::kHttpReqRate, 1, seconds(10)}, {DataType::kBytesInCnt}};
  EXPECT_FALSE(mismatch(standing_, other_).has_value());
  EXPECT_FALSE(mismatch(other_, standing_).has_value());
}

TEST_F(MismatchTest, KeysPeriodsAndArrayLengthsMayNot) {
  other_.key_type = KeyType::kBinary;
  EXPECT_EQ(mismatch(standing_, other_), "key type binary where string stands");
  other_ = standing_;
  other_.key_size = 65;
  EXPECT_EQ(mismatch(standing_, other_), "key size 65 where 33 stands");
  other_ = standing_;
  other_.types[1].period = seconds(60);
  EXPECT_EQ(mismatch(standing_, other_), "http_req_rate has the period 1m where 10s stands");
  other_ = standing_;
  other_.types[2].elements = 4;
  EXPECT_EQ(mismatch(standing_, other_), "gpc has 4 elements where 3 stand");
}

}  // namespace
}  // namespace stickmesh::store
