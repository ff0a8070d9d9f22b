#include "agent/pipeline/mesh_row.h"

#include "agent/pipeline/relay.h"

#include <gtest/gtest.h>

namespace stickmesh::pipeline {
namespace {

TEST(MeshRowTest, WhatAnAgentSaysOfItselfComesBack) {
  AgentRow said;
  said.learned = true;
  said.number = 7;
  said.echo = 5;
  said.start = 0xfedcba98;
  said.losses = 0xabcdef;
  const auto row = decode_agent_row(encode_row(said));
  ASSERT_TRUE(row);
  EXPECT_TRUE(row->learned);
  EXPECT_FALSE(row->goes_on);
  EXPECT_EQ(row->number, 7U);
  EXPECT_EQ(row->echo, 5U);
  EXPECT_EQ(row->start, 0xfedcba98U);
  EXPECT_EQ(row->losses, 0xabcdefU);
  said.goes_on = true;
  EXPECT_TRUE(decode_agent_row(encode_row(said))->goes_on);
  EXPECT_FALSE(decode_origin_row(encode_row(AgentRow{})));
}

TEST(MeshRowTest, WhatAnAgentSaysOfAnInstanceComesBack) {
  const OriginRow said{true, false, true, 3, std::uint64_t{1} << 63U | 12345, 0xabcdef};
  const auto row = decode_origin_row(encode_row(said));
  ASSERT_TRUE(row);
  EXPECT_EQ(*row, said);
  EXPECT_FALSE(decode_agent_row(encode_row(said)));
}

TEST(MeshRowTest, RulesComeBack) {
  const auto row = decode_rules_row(encode_row(RulesRow{0xfedcba9876543210, 0xfedcba98}));
  ASSERT_TRUE(row);
  EXPECT_EQ(row->digest, 0xfedcba9876543210U);
  EXPECT_EQ(row->limits, 0xfedcba98U);
  EXPECT_FALSE(decode_agent_row(encode_row(RulesRow{1, 0})));
  EXPECT_FALSE(decode_origin_row(encode_row(RulesRow{1, 0})));
}

TEST(MeshRowTest, LimitsComeBackAndAreNothingToOlderVersions) {
  const LimitRow said{LimitValue{0xfffffffe, true}, 0xfedcba9876543210};
  const auto row = decode_limit_row(encode_row(said));
  ASSERT_TRUE(row);
  EXPECT_EQ(row->value, said.value);
  EXPECT_EQ(row->changed_at, said.changed_at);
  EXPECT_EQ(decode_limit_row(encode_row(LimitRow{std::nullopt, 7}))->value, std::nullopt);
  EXPECT_FALSE(decode_agent_row(encode_row(said)));
  EXPECT_FALSE(decode_origin_row(encode_row(said)));
  EXPECT_FALSE(decode_rules_row(encode_row(said)));
  AgentRow agent;
  agent.losses = 0xffffff;
  EXPECT_FALSE(decode_limit_row(encode_row(agent)));
  OriginRow origin;
  origin.publications = 0xffffff;
  EXPECT_FALSE(decode_limit_row(encode_row(origin)));
  EXPECT_FALSE(decode_limit_row(encode_row(RulesRow{1, 2})));
}

TEST(MeshRowTest, OtherNumbersAreNoRow) {
  const std::uint64_t few[] = {1, 2};
  EXPECT_FALSE(decode_agent_row(few));
  EXPECT_FALSE(decode_origin_row(MeshCells{}));
}

TEST(MeshRowTest, ATableOfAnotherAgentIsSplitAtItsFirstSign) {
  EXPECT_EQ(split_relayed("http@lb1").table, "http");
  EXPECT_EQ(split_relayed("http@lb@1").origin, "lb@1");
  EXPECT_TRUE(split_relayed("http").origin.empty());
  EXPECT_TRUE(is_incarnation("a#1700000000"));
  EXPECT_FALSE(is_incarnation("lb#"));
  EXPECT_FALSE(is_incarnation("lb#1x"));
}

}  // namespace
}  // namespace stickmesh::pipeline
