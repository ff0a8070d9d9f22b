#include "agent/pipeline/rules.h"

#include <gtest/gtest.h>

namespace stickmesh::pipeline {
namespace {

using Kind = Treatment::Kind;

TEST(PatternTest, AStarMatchesAnyRunAndCarriesOver) {
  const Pattern from("app_*_in");
  EXPECT_EQ(from.match("app_x_in"), "x");
  EXPECT_EQ(from.match("app__in"), "");
  EXPECT_FALSE(from.match("app_in").has_value());
  EXPECT_FALSE(from.match("other").has_value());
  EXPECT_EQ(Pattern("*.total").fill("http"), "http.total");
  EXPECT_EQ(Pattern("all").fill("http"), "all");
}

TEST(RulesTest, TheFirstRuleThatMatchesDecides) {
  const Rules rules({{Pattern("http"), Pattern("http.sum")}, {Pattern("*"), Pattern("*.total")}}, {});
  EXPECT_EQ(rules.treat("http").output, "http.sum");
  EXPECT_EQ(rules.treat("login").output, "login.total");
}

TEST(RulesTest, WhatSomeRuleCanProduceIsNeverAnInput) {
  const Rules rules({{Pattern("*"), Pattern("*.total")}}, {"stickmesh", "limits"});
  EXPECT_EQ(rules.treat("http.total").kind, Kind::kOutput);
  EXPECT_EQ(rules.treat("http.total.total").kind, Kind::kOutput);
  EXPECT_EQ(rules.treat("stickmesh").kind, Kind::kOutput);
  EXPECT_EQ(rules.treat("limits").kind, Kind::kOutput);
}

TEST(RulesTest, TheDigestTellsRulesApart) {
  const auto digest = [](std::vector<AggregateRule> aggregates, Rules::OwnTables own = {},
                         std::vector<Pattern> replicated = {}) {
    return Rules(std::move(aggregates), std::move(own), std::move(replicated)).digest();
  };
  const AggregateRule all{Pattern("*"), Pattern("*.total")};
  const AggregateRule http{Pattern("http"), Pattern("http.sum")};
  EXPECT_EQ(digest({http, all}), digest({http, all}));
  EXPECT_NE(digest({http, all}), digest({all, http}));
  EXPECT_NE(digest({all}), digest({all}, {"stickmesh", ""}));
  EXPECT_NE(digest({all}), digest({all}, {}, {Pattern("sessions")}));
  AggregateRule largest = all;
  largest.merges[static_cast<std::size_t>(DataType::kGpt0)] = Merge::kMax;
  EXPECT_NE(digest({all}), digest({largest}));
  AggregateRule copied = all;
  copied.copies = {{DataType::kConnCur, DataType::kGpc0}};
  EXPECT_NE(digest({all}), digest({copied}));
}

TEST(RulesTest, ATableWithoutARuleIsKept) {
  const Rules rules({{Pattern("http"), Pattern("http.total")}}, {});
  EXPECT_EQ(rules.treat("sessions").kind, Kind::kKeep);
}

TEST(RulesTest, PrivateTablesAreNotMirrored) {
  const Rules rules({}, {}, {}, Rules::Mirrored{Pattern("o*"), {"other", "o"}});
  EXPECT_TRUE(rules.mirrors("otherwise"));
  EXPECT_FALSE(rules.mirrors("other"));
  EXPECT_FALSE(rules.mirrors("clients"));
}

}  // namespace
}  // namespace stickmesh::pipeline
