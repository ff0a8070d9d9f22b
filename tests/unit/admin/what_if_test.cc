#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/admin/commands.h"
#include "tests/unit/admin/restarts.h"
#include "tests/unit/pipeline/instance.h"

namespace stickmesh::admin {
namespace {

using pipeline::kStart;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const TableDefinition kTable = [] {
  TableDefinition definition = pipeline::counter_table("/http");
  definition.types = {{DataType::kHttpReqCnt, 1, {}}, {DataType::kHttpReqRate, 1, std::chrono::seconds(10)}};
  return definition;
}();

class WhatIfTest : public ::testing::Test {
 protected:
  WhatIfTest() {
    for (pipeline::Instance* instance : {&lb1_, &lb2_}) instance->session().select(1, kTable);
    count(lb1_, "joe", 60, kStart);
    count(lb2_, "joe", 50, kStart);
    count(lb1_, "amy", 90, kStart);
    count(lb1_, "mallory", 150, kStart + std::chrono::minutes(2));
    count(lb2_, "mallory", 1, kStart + std::chrono::minutes(2));
  }
  void count(pipeline::Instance& instance, const std::string& key, std::uint64_t requests, TimePoint now) {
    instance.push(1, kTable, key, ++update_id_, {requests, 0, requests, 0});
    instance.exchange(now);
  }
  std::string ask(std::string_view line, TimePoint now = kStart + std::chrono::minutes(2)) {
    std::string out;
    const auto answer = commands_.run(line, now);
    while (answer->more(out, now)) {
    }
    return out;
  }

  pipeline::Agent agent_;
  Restarts restarts_;
  Commands commands_{agent_.hub, restarts_, kStart};
  std::uint32_t update_id_ = 0;
  pipeline::Instance lb1_{agent_.hub, "lb1", 10, kStart};
  pipeline::Instance lb2_{agent_.hub, "lb2", 20, kStart};
};

TEST_F(WhatIfTest, SaysWhichKeysAndWhoSeesThem) {
  EXPECT_EQ(ask("whatif http http_req_cnt 100"),
            "# key\ttotal\tlargest\tof\tseen_by_one\n"
            "joe\t110\t60\tlb1\tno\n"
            "mallory\t151\t150\tlb1\tyes\n"
            "# 2 of 3 keys are above 100; 1 of them at no single origin\n");
  EXPECT_THAT(ask("whatif http.total http_req_cnt 151"), HasSubstr("# 0 of 3 keys are above 151; 0 of them"));
}

TEST_F(WhatIfTest, RatesAreThoseOfNow) {
  EXPECT_THAT(ask("whatif http http_req_rate 100", kStart), HasSubstr("joe\t110\t60\tlb1\tno\n"));
  EXPECT_THAT(ask("whatif http http_req_rate 100"), HasSubstr("# 1 of 3 keys are above 100; 0 of them"));
}

TEST_F(WhatIfTest, SinceLeavesOutWhatNobodyHasCountedLately) {
  EXPECT_THAT(ask("whatif http http_req_cnt 100 since 1m"),
              HasSubstr("# 1 of 1 keys are above 100; 0 of them"));
  EXPECT_THAT(ask("whatif http http_req_cnt 100 since 3m"), HasSubstr("# 2 of 3 keys"));
}

TEST_F(WhatIfTest, MistakesAreNamed) {
  EXPECT_THAT(ask("whatif none http_req_cnt 1"), StartsWith("error: not-found: there is no table 'none'"));
  EXPECT_THAT(ask("whatif http gpc0 1"), HasSubstr("table http stores no number gpc0"));
  EXPECT_THAT(ask("whatif http http_req_cnt 1 since never"), HasSubstr("since: 'never' is no time"));
  for (const char* line : {"whatif", "whatif http", "whatif http http_req_cnt", "whatif http http_req_cnt -1",
                           "whatif http http_req_cnt 1 since", "whatif http http_req_cnt 1 for 1m"}) {
    EXPECT_THAT(ask(line), StartsWith("error: bad-command: ")) << line;
  }
}

}  // namespace
}  // namespace stickmesh::admin
