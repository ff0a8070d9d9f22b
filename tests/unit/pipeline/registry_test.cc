#include "agent/pipeline/registry.h"

#include <gtest/gtest.h>

#include "instance.h"

namespace stickmesh::pipeline {
namespace {

class RegistryTest : public ::testing::Test {
 protected:
  store::OriginId origin(const char* name) {
    const store::OriginId id = *agent_.registry.origins().intern(name);
    agent_.registry.origins()[id].present = true;
    return id;
  }
  Agent agent_;
  Registry& registry_ = agent_.registry;
};

TEST_F(RegistryTest, TheSlashOfTheWireIsNoPartOfTheName) {
  ASSERT_TRUE(registry_.define(origin("lb1"), counter_table("/http"), kStart).has_value());
  EXPECT_NE(registry_.find("http"), nullptr);
  EXPECT_NE(registry_.find_output("http.total"), nullptr);
}

TEST_F(RegistryTest, AnotherPeriodIsAMismatchWhileTheFirstIsHeld) {
  TableDefinition definition = counter_table("http");
  definition.types = {{DataType::kHttpReqRate, 1, std::chrono::seconds(10)}};
  const store::OriginId lb1 = origin("lb1");
  ASSERT_TRUE(registry_.define(lb1, definition, kStart).has_value());
  definition.types[0].period = std::chrono::seconds(30);
  const auto refused = registry_.define(origin("lb2"), definition, kStart);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().reason, Reason::kDefinitionMismatch);
  EXPECT_NE(refused.error().detail.find("30s"), std::string::npos);

  registry_.origins()[lb1].present = false;
  EXPECT_TRUE(registry_.define(origin("lb2"), definition, kStart).has_value());
  EXPECT_EQ(registry_.find("http")->table->definition().types, definition.types);
}

TEST_F(RegistryTest, DifferentSetsOfTypesAreJoined) {
  TableDefinition definition = counter_table("http");
  ASSERT_TRUE(registry_.define(origin("lb1"), definition, kStart).has_value());
  definition.types = {{DataType::kGpc0, 1, {}}};
  ASSERT_TRUE(registry_.define(origin("lb2"), definition, kStart).has_value());
  EXPECT_EQ(registry_.find("http")->table->definition().types.size(), 2U);
}

TEST_F(RegistryTest, ADeclaredTableStands) {
  registry_.declare(counter_table("http"), 100, kStart);
  TableDefinition other = counter_table("http");
  other.key_type = KeyType::kIpv4;
  other.key_size = 4;
  EXPECT_FALSE(registry_.define(origin("lb1"), other, kStart).has_value());
}

}  // namespace
}  // namespace stickmesh::pipeline
