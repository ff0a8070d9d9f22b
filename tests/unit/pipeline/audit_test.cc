#include <gtest/gtest.h>

#include "instance.h"

namespace stickmesh::pipeline {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

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

class OverwrittenTotalTest : public AuditTest {
 protected:
  /// Lets lb1 acknowledge what waits, and returns what it then gets within a second.
  std::size_t gets(TimePoint now) {
    const std::size_t before = lb1_.received.size();
    lb1_.exchange(now);
    lb1_.exchange(now + seconds(1));
    return lb1_.received.size() - before;
  }
};

TEST_F(OverwrittenTotalTest, AnotherValueInALessonIsReplaced) {
  lb1_.push(1, kInput, "key7", kKeys + 1, {5});
  EXPECT_EQ(gets(kStart + milliseconds(200)), 1U);
  lb1_.teach = [this] {
    lb1_.push(2, kTotal, "key7", 7, {99}, seconds(500));
    lb1_.push(2, kTotal, "key8", 8, {1}, seconds(500));
    lb1_.push(2, kTotal, "nobody", 9, {1}, seconds(500));
  };
  agent_.peer("lb1").link->session().request_lesson(kStart + seconds(2));
  EXPECT_EQ(gets(kStart + seconds(2)), 1U);
  EXPECT_EQ(lb1_.received.back().key, "key7");
  EXPECT_EQ(lb1_.received.back().cells[0], 5U);
}

TEST_F(OverwrittenTotalTest, SoIsOneThatARuleOrAnOperatorWrites) {
  lb1_.push(1, kInput, "key7", kKeys + 1, {5});
  EXPECT_EQ(gets(kStart + milliseconds(200)), 1U);
  lb1_.push(2, kTotal, "key7", 1, {5});
  EXPECT_EQ(gets(kStart + seconds(2)), 0U) << "as it should be";
  lb1_.push(2, kTotal, "key7", 2, {0});
  EXPECT_EQ(gets(kStart + seconds(4)), 1U);
  EXPECT_EQ(lb1_.received.back().cells[0], 5U);
}

TEST_F(OverwrittenTotalTest, AlsoInATableThatIsIdleSinceAReload) {
  lb1_.cut(kStart + seconds(1));
  Instance reloaded{agent_.hub, "lb1", 11, kStart + seconds(1)};
  reloaded.session().select(2, kTotal);
  reloaded.exchange(kStart + seconds(2));
  EXPECT_GE(reloaded.received.size(), kKeys);
  const std::size_t before = reloaded.received.size();
  reloaded.push(2, kTotal, "key7", 1, {0});
  reloaded.exchange(kStart + seconds(3));
  reloaded.exchange(kStart + seconds(4));
  ASSERT_EQ(reloaded.received.size(), before + 1);
  EXPECT_EQ(reloaded.received.back().key, "key7");
  EXPECT_EQ(reloaded.received.back().cells[0], 1U);
}

TEST_F(OverwrittenTotalTest, OneThatANewerIsOnItsWayToIsNot) {
  lb1_.push(1, kInput, "key7", kKeys + 1, {5});
  EXPECT_EQ(gets(kStart + milliseconds(200)), 1U);
  lb1_.push(1, kInput, "key7", kKeys + 2, {6});
  lb1_.push(2, kTotal, "key7", 1, {5});
  EXPECT_EQ(gets(kStart + seconds(2)), 1U);
  EXPECT_EQ(lb1_.received.back().cells[0], 6U);
}

}  // namespace
}  // namespace stickmesh::pipeline
