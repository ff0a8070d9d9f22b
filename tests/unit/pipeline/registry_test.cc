#include "agent/pipeline/registry.h"

#include <gtest/gtest.h>

#include "instance.h"

namespace stickmesh::pipeline {
namespace {

using std::chrono::seconds;

class RegistryTest : public ::testing::Test {
 protected:
  store::OriginId origin(const char* name) {
    const store::OriginId id = *agent_.registry.origins().intern(name);
    agent_.registry.origins()[id].present = true;
    return id;
  }
  static TableDefinition rates(Duration period) {
    TableDefinition definition = counter_table("http");
    definition.types = {{DataType::kHttpReqRate, 1, period}};
    return definition;
  }
  Agent agent_;
  Registry& registry_ = agent_.registry;
};

TEST_F(RegistryTest, TheSlashOfTheWireIsNoPartOfTheName) {
  registry_.define(origin("lb1"), counter_table("/http"), kStart);
  EXPECT_NE(registry_.find("http"), nullptr);
  EXPECT_NE(registry_.find_output("http.total"), nullptr);
}

TEST_F(RegistryTest, TheDefinitionThatMostPresentOriginsShareStands) {
  const TableDefinition before = rates(seconds(10));
  const TableDefinition after = rates(seconds(30));
  for (const char* name : {"lb1", "lb2", "lb3"}) registry_.define(origin(name), before, kStart);
  const TableRecord& record = *registry_.find("http");

  registry_.define(origin("lb3"), after, kStart);
  EXPECT_EQ(record.table->definition().types, before.types);
  const auto problem = registry_.mismatch(record, origin("lb3"), after);
  ASSERT_TRUE(problem.has_value());
  EXPECT_NE(problem->find("30s"), std::string::npos) << *problem;
  EXPECT_NE(problem->find("10s"), std::string::npos) << *problem;
  EXPECT_EQ(record.table->redefinitions(), 0U);

  registry_.define(origin("lb2"), after, kStart);
  EXPECT_EQ(record.table->definition().types, after.types);
  EXPECT_EQ(record.table->redefinitions(), 1U);
  EXPECT_TRUE(registry_.mismatch(record, origin("lb1"), before).has_value());

  registry_.define(origin("lb1"), after, kStart);
  EXPECT_EQ(record.table->redefinitions(), 1U) << "the last one joins without anything being dropped again";
}

TEST_F(RegistryTest, AmongEquallyManyTheSmallestOriginNameDecides) {
  registry_.define(origin("lb2"), rates(seconds(10)), kStart);
  registry_.define(origin("lb3"), rates(seconds(30)), kStart);
  EXPECT_EQ(registry_.find("http")->table->definition().types, rates(seconds(10)).types);
  registry_.define(origin("lb1"), rates(seconds(60)), kStart);
  EXPECT_EQ(registry_.find("http")->table->definition().types, rates(seconds(60)).types);
}

TEST_F(RegistryTest, AnOriginThatIsGoneHasNoVote) {
  const store::OriginId lb1 = origin("lb1");
  registry_.define(lb1, rates(seconds(10)), kStart);
  registry_.define(origin("lb2"), rates(seconds(30)), kStart);
  registry_.origins()[lb1].present = false;
  registry_.settle_definitions(kStart);
  EXPECT_EQ(registry_.find("http")->table->definition().types, rates(seconds(30)).types);
}

TEST_F(RegistryTest, DifferentSetsOfTypesAreJoined) {
  TableDefinition definition = counter_table("http");
  registry_.define(origin("lb1"), definition, kStart);
  definition.types = {{DataType::kGpc0, 1, {}}};
  registry_.define(origin("lb2"), definition, kStart);
  EXPECT_EQ(registry_.find("http")->table->definition().types.size(), 2U);
}

TEST_F(RegistryTest, WhenAnotherDefinitionStandsTheTypesOfAllWhoFitItAreThere) {
  const store::OriginId lb1 = origin("lb1");
  const store::OriginId lb2 = origin("lb2");
  const store::OriginId lb3 = origin("lb3");
  TableDefinition definition = rates(seconds(10));
  registry_.define(lb3, definition, kStart);
  definition.types = {{DataType::kGpc0, 1, {}}};
  registry_.define(lb2, definition, kStart);
  registry_.define(lb1, rates(seconds(30)), kStart);
  const store::Table& table = *registry_.find("http")->table;
  ASSERT_EQ(table.redefinitions(), 0U);
  registry_.origins()[lb3].present = false;
  registry_.settle_definitions(kStart);
  EXPECT_EQ(table.redefinitions(), 1U);
  EXPECT_NE(table.definition().find(DataType::kGpc0), nullptr);
}

TEST_F(RegistryTest, ADeclaredTableStands) {
  registry_.declare(counter_table("http"), 100, kStart);
  TableDefinition other = counter_table("http");
  other.key_type = KeyType::kIpv4;
  other.key_size = 4;
  const store::OriginId lb1 = origin("lb1");
  const TableRecord& record = registry_.define(lb1, other, kStart);
  EXPECT_TRUE(registry_.mismatch(record, lb1, other).has_value());
  EXPECT_EQ(record.table->definition().key_type, KeyType::kString);
}

}  // namespace
}  // namespace stickmesh::pipeline
