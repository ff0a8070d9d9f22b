#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/config/outcome.h"

namespace stickmesh::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string rule(std::string_view from, std::string_view to) {
  return fmt::format("[[aggregate]]\nfrom = \"{}\"\nto = \"{}\"\n", from, to);
}

TEST(AggregateRulesTest, TakesPatterns) {
  EXPECT_THAT(findings(rule("*", "*.total")), IsEmpty());
  EXPECT_THAT(findings(rule("http", "http.total")), IsEmpty());
  EXPECT_THAT(findings(rule("api-*", "total-*-api")), IsEmpty());
  EXPECT_THAT(findings(rule("http", "http.total") + rule("api", "api.total") + rule("*", "*.sum")),
              IsEmpty());
}

TEST(AggregateRulesTest, RefusesPatternsThatCannotWork) {
  struct Row {
    std::string_view from, to, why;
  };
  const Row rows[] = {
      {"a*b*", "*.total", "2: aggregate.from: \"a*b*\" has more than one *"},
      {"*", "*.*", "3: aggregate.to: \"*.*\" has more than one *"},
      {"http", "*.total", "3: aggregate.to: \"*.total\" has a *, but from = \"http\" has none"},
      {"h*", "total", "3: aggregate.to: \"total\" has no *"},
      {"*", "*", "3: aggregate.to: \"*\" would make every table an output"},
      {"h*", "*", "would make every table an output"},
      {"http", "http", "the same as from"},
      {"h*", "h*", "the same as from"},
      {"/http", "http.total",
       "2: aggregate.from: \"/http\": a table's name has no slash: write \"http\", not \"/http\""},
      {"http", "/http.total", "write \"http.total\", not \"/http.total\""},
      {"", "a", "2: aggregate.from: is empty"},
      {"http", "limits", "3: aggregate.to: \"limits\" can produce \"limits\""},
      {"*", "*mesh", "can produce \"stickmesh\""},
      {"stickmesh", "a", "2: aggregate.from: \"stickmesh\" is written by agents"},
  };
  for (const Row& row : rows) {
    EXPECT_THAT(findings(rule(row.from, row.to)), ElementsAre(HasSubstr(row.why)))
        << row.from << " " << row.to;
  }
}

TEST(AggregateRulesTest, RefusesRulesThatGetInEachOthersWay) {
  EXPECT_THAT(
      findings(rule("*", "*.total") + rule("http", "http.sum")),
      ElementsAre("5: aggregate.from: \"http\" is never reached: the rule of line 2 takes all of it"));
  EXPECT_THAT(findings(rule("a", "x") + rule("b", "x")),
              ElementsAre("6: aggregate.to: \"x\" is already written by the rule of line 2"));
  EXPECT_THAT(
      findings(rule("http.total", "x") + rule("*", "*.total")),
      ElementsAre("2: aggregate.from: \"http.total\" is an output of the rule of line 5 and never an input"));
  EXPECT_THAT(findings(rule("x.total*", "*.y") + rule("*.total", "z-*")), IsEmpty());
  EXPECT_THAT(findings(rule("a.total-*", "*.y") + rule("*", "a.total*")),
              ElementsAre(HasSubstr("2: aggregate.from: \"a.total-*\" is an output of the rule of line 5")));
}

TEST(AggregateRulesTest, ChoosesFunctionsPerType) {
  const Config config = config_of(R"([[aggregate]]
from = "*"
to = "*.total"
[aggregate.function]
gpt0 = "max"
gpt = "sum"
gpc0 = "min"
gpc1 = "last"
conn_cur = "sum"
http_req_rate = "sum"
server_key = "last"
)");
  const Merges merges = merges_of(config.aggregate[0]);
  const auto merge = [&merges](DataType type) { return merges[static_cast<std::size_t>(type)]; };
  EXPECT_EQ(merge(DataType::kGpt0), Merge::kMax);
  EXPECT_EQ(merge(DataType::kGpt), Merge::kSum);
  EXPECT_EQ(merge(DataType::kGpc0), Merge::kMin);
  EXPECT_EQ(merge(DataType::kGpc1), Merge::kLastChange);
  EXPECT_EQ(merge(DataType::kConnCur), Merge::kPresentSum);
  EXPECT_EQ(merge(DataType::kHttpReqRate), Merge::kRate);
  EXPECT_EQ(merge(DataType::kServerKey), Merge::kLastChange);
  EXPECT_EQ(merge(DataType::kConnCnt), Merge::kSum);
  EXPECT_EQ(merges_of(Aggregate{}), default_merges());
}

TEST(AggregateRulesTest, RefusesFunctionsThatMakeNoSense) {
  const auto with = [](std::string_view function) {
    return findings(rule("*", "*.total") + fmt::format("function = {{ {} }}\n", function));
  };
  EXPECT_THAT(
      with("http_req_rate = 'max'"),
      ElementsAre("4: aggregate.function.http_req_rate: \"max\" is not possible: a rate's total is a sum"));
  EXPECT_THAT(with("gpc_rate = 'last'"), ElementsAre(HasSubstr("a rate's total is a sum")));
  EXPECT_THAT(with("server_key = 'sum'"), ElementsAre(HasSubstr("only \"last\" makes sense")));
  EXPECT_THAT(with("server_id = 'max'"), ElementsAre(HasSubstr("only \"last\" makes sense")));
  EXPECT_THAT(with("gpt0 = 'avg'"),
              ElementsAre(HasSubstr("\"avg\" is none of \"sum\", \"max\", \"min\", \"last\"")));
  EXPECT_THAT(with("gpt9 = 'max'"),
              ElementsAre("4: aggregate.function.gpt9: is no data type of HAProxy's; did you mean gpt0?"));
  EXPECT_THAT(with("gpt9 = 'avg', http_req_rate = 'min'"), testing::SizeIs(3));
}

TEST(AggregateRulesTest, RefusesCopiesThatMakeNoSense) {
  const auto with = [](std::string_view copy) {
    return findings(rule("*", "*.total") + fmt::format("copy = {{ {} }}\n", copy));
  };
  EXPECT_THAT(with("conn_cur = 'gpc0', bytes_in_cnt = 'gpc1', gpt0 = 'sess_cnt'"), IsEmpty());
  EXPECT_THAT(with("conn_cur = 'gpt0'"), ElementsAre(HasSubstr("gpt0 is no counter of 32 bits")));
  EXPECT_THAT(with("gpc0 = 'conn_cur'"), ElementsAre(HasSubstr("conn_cur is no counter of 32 bits")));
  EXPECT_THAT(with("gpc0 = 'bytes_in_cnt'"), ElementsAre(HasSubstr("bytes_in_cnt is no counter of 32 bits")));
  EXPECT_THAT(with("gpc0 = 'gpc'"), ElementsAre(HasSubstr("gpc is no counter of 32 bits")));
  EXPECT_THAT(with("gpc0 = 'gpc0'"), ElementsAre(HasSubstr("to itself")));
  EXPECT_THAT(with("gpc = 'gpc0'"), ElementsAre(HasSubstr("an array")));
  EXPECT_THAT(with("server_key = 'gpc0'"), ElementsAre(HasSubstr("no number")));
  EXPECT_THAT(with("http_req_rate = 'gpc0'"), ElementsAre(HasSubstr("would not fall by itself")));
  EXPECT_THAT(with("gpc0 = 'gpc9'"), ElementsAre(HasSubstr("did you mean gpc0?")));
  EXPECT_THAT(with("gpc0 = 'gpc1', gpc1 = 'gpc0'"), testing::SizeIs(2));
  EXPECT_THAT(with("gpc0 = 'gpc1', gpc1 = 'sess_cnt'"),
              ElementsAre("4: aggregate.copy: gpc0 is copied to gpc1, which is itself copied to sess_cnt"));
  EXPECT_THAT(with("conn_cur = 'gpc0', gpt0 = 'gpc0'"),
              ElementsAre(HasSubstr("two types are copied to gpc0")));
}

}  // namespace
}  // namespace stickmesh::config
