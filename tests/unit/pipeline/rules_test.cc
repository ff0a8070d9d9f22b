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

TEST(RulesTest, ATableWithoutARuleIsKept) {
  const Rules rules({{Pattern("http"), Pattern("http.total")}}, {});
  EXPECT_EQ(rules.treat("sessions").kind, Kind::kKeep);
}

}  // namespace
}  // namespace stickmesh::pipeline
