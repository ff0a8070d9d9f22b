#include "agent/config/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace stickmesh::config {
namespace {

using testing::HasSubstr;

TEST(NamesTest, TakesPeerNamesThatHaproxyTakes) {
  for (const std::string_view name : {"lb1", "lb-1.example.com", "LB_1:2", "1"}) {
    EXPECT_EQ(peer_name_problem(name), "") << name;
  }
  for (const std::string_view name : {"", "lb 1", "lb@1", "lb/1", "lb~1", "lb*", "l\xc3\xa9", "lb\n"}) {
    EXPECT_NE(peer_name_problem(name), "") << name;
  }
  EXPECT_EQ(peer_name_problem(std::string(255, 'a')), "");
  EXPECT_THAT(peer_name_problem(std::string(256, 'a')), HasSubstr("256 bytes, at most 255"));
}

TEST(NamesTest, WantsTableNamesWithoutSlash) {
  EXPECT_EQ(table_name_problem("http.total"), "");
  EXPECT_THAT(table_name_problem("/http"), HasSubstr(R"(write "http", not "/http")"));
  EXPECT_THAT(table_name_problem("mesh/http"), HasSubstr(R"(write "http", not "mesh/http")"));
  EXPECT_THAT(table_name_problem("/"), HasSubstr("no slash"));
  for (const std::string_view name : {"", "a b", "a@b", "a*"})
    EXPECT_NE(table_name_problem(name), "") << name;
}

TEST(NamesTest, TakesOneStarInAPattern) {
  EXPECT_EQ(table_pattern_problem("*"), "");
  EXPECT_EQ(table_pattern_problem("a*b"), "");
  EXPECT_THAT(table_pattern_problem("a*b*"), HasSubstr("more than one *"));
  EXPECT_THAT(table_pattern_problem("/a*"), HasSubstr(R"(write "a*")"));
  EXPECT_NE(table_pattern_problem("a b"), "");
  EXPECT_NE(table_pattern_problem(""), "");
  EXPECT_EQ(pattern_problem("api/*"), "");
  EXPECT_NE(pattern_problem("**"), "");
}

TEST(NamesTest, WantsAbsolutePaths) {
  EXPECT_EQ(path_problem("/etc/a b"), "");
  EXPECT_THAT(path_problem("etc/a"), HasSubstr("absolute path"));
  EXPECT_NE(path_problem(""), "");
  EXPECT_EQ(optional_path_problem(""), "");
  EXPECT_NE(path_problem("/a\n"), "");
  EXPECT_NE(path_problem("/" + std::string(4095, 'a')), "");
}

TEST(NamesTest, MatchesPatterns) {
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("*", "http"));
  EXPECT_TRUE(matches("http", "http"));
  EXPECT_FALSE(matches("http", "https"));
  EXPECT_TRUE(matches("*.total", "http.total"));
  EXPECT_TRUE(matches("*.total", ".total"));
  EXPECT_FALSE(matches("*.total", "total"));
  EXPECT_TRUE(matches("a*a", "aa"));
  EXPECT_FALSE(matches("a*a", "a"));
}

TEST(NamesTest, KnowsWhichPatternCoversAnother) {
  EXPECT_TRUE(covers("*", "*"));
  EXPECT_TRUE(covers("*", "http"));
  EXPECT_TRUE(covers("h*", "http*"));
  EXPECT_TRUE(covers("h*p", "ht*tp"));
  EXPECT_TRUE(covers("*.a", "b*.a"));
  EXPECT_FALSE(covers("http*", "h*"));
  EXPECT_FALSE(covers("http", "http*"));
  EXPECT_FALSE(covers("h*x", "ht*tp"));
  EXPECT_FALSE(covers("a*a", "a*"));
}

TEST(NamesTest, MakesAnAgentNameOfTheHostName) {
  EXPECT_EQ(default_agent_name("lb1"), "agent-lb1");
  EXPECT_EQ(default_agent_name("lb1.example.com"), "agent-lb1");
  EXPECT_EQ(default_agent_name("l b\xff"), "agent-l-b-");
  EXPECT_EQ(peer_name_problem(default_agent_name("")), "");
}

}  // namespace
}  // namespace stickmesh::config
