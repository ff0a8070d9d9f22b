#include <gtest/gtest.h>

#include "instance.h"

namespace stickmesh::pipeline {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const TableDefinition kInput = counter_table("/http");
const TableDefinition kTotal = counter_table("/http.total");

class AuditTest : public ::testing::Test {
 protected:
  AuditTest() {
    lb1_.session().select(1, kInput);
    lb1_.session().select(2, kTotal);
    lb1_.exchange(kStart);
    for (std::uint32_t key = 1; key <= kKeys; ++key)
      lb1_.push(1, kInput, "key" + std::to_string(key), key, {1});
    lb1_.exchange(kStart + milliseconds(100));
  }
  /// From now on a lesson shows so many of the totals.
  void shows(std::uint32_t count) {
    lb1_.teach = [this, count] {
      for (std::uint32_t key = 1; key <= count; ++key)
        lb1_.push(2, kTotal, "key" + std::to_string(key), key, {1}, seconds(500));
    };
  }
  std::string problems() { return agent_.peer("lb1").link->problems(); }

  static constexpr std::uint32_t kKeys = 500;
  Agent agent_;
  Instance lb1_{agent_.hub, "lb1", 10, kStart};
};

TEST_F(AuditTest, ATableThatKeptOnlyAPartIsFoundOut) {
  shows(300);
  const int asked = lb1_.lessons_asked;
  lb1_.exchange(kStart + seconds(9));
  EXPECT_EQ(lb1_.lessons_asked, asked);
  lb1_.exchange(kStart + seconds(11));
  EXPECT_EQ(lb1_.lessons_asked, asked + 1);
  EXPECT_NE(problems().find("300 of 500"), std::string::npos) << problems();
  EXPECT_EQ(agent_.errors.count(Reason::kTableFull), 1U);
}

TEST_F(AuditTest, OneThatHasAllIsAskedAgainOnlyAfterMoreWasSent) {
  shows(kKeys);
  const int asked = lb1_.lessons_asked;
  lb1_.exchange(kStart + seconds(11));
  EXPECT_EQ(lb1_.lessons_asked, asked + 1);
  EXPECT_EQ(problems(), "");
  lb1_.exchange(kStart + seconds(300));
  EXPECT_EQ(lb1_.lessons_asked, asked + 1);
  for (std::uint32_t key = 1; key <= 200; ++key)
    lb1_.push(1, kInput, "more" + std::to_string(key), kKeys + key, {1});
  lb1_.exchange(kStart + seconds(301));
  lb1_.exchange(kStart + seconds(302));
  EXPECT_EQ(lb1_.lessons_asked, asked + 2);
  EXPECT_EQ(agent_.errors.count(Reason::kTableFull), 1U);
  shows(0);
}

}  // namespace
}  // namespace stickmesh::pipeline
