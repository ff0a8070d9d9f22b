#include "agent/base/table_definition.h"

#include <gtest/gtest.h>

namespace stickmesh {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

TEST(TableDefinitionTest, IsDescribedInHAProxysWords) {
  TableDefinition definition;
  definition.name = "/login";
  definition.key_type = KeyType::kString;
  definition.key_size = 65;
  definition.expire = minutes(10);
  definition.types = {{DataType::kGpc0, 1, {}},
                      {DataType::kHttpReqRate, 1, seconds(10)},
                      {DataType::kGpt, 3, {}},
                      {DataType::kGpcRate, 2, Duration(1500)}};
  EXPECT_EQ(describe(definition),
            "type string len 64 expire 10m store gpc0,http_req_rate(10s),gpt(3),gpc_rate(2,1500ms)");
  EXPECT_EQ(canonical_name(definition.name), "login");
  EXPECT_EQ(canonical_name("login"), "login");
}

TEST(DataTypesTest, EveryNameLeadsBackToItsNumber) {
  for (std::size_t index = 0; index < kDataTypeCount; ++index) {
    EXPECT_EQ(find_data_type(kDataTypes[index].name), static_cast<DataType>(index));
  }
  EXPECT_FALSE(find_data_type("gpc9").has_value());
}

}  // namespace
}  // namespace stickmesh
