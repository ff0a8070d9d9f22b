#include "agent/config/table_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace stickmesh::config {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TableWords words(std::string_view text) {
  const Parsed<TableWords> parsed = parse_table_words(text);
  EXPECT_TRUE(parsed) << text << ": " << parsed.error();
  return parsed.value_or(TableWords{});
}

TEST(TableWordsTest, ReadsTheContractsExample) {
  const TableWords table = words("type string len 64 size 100k expire 10m store gpc0,gpc0_rate(1m)");
  EXPECT_EQ(table.size, 102400U);
  EXPECT_EQ(table.definition.key_type, KeyType::kString);
  EXPECT_EQ(table.definition.key_size, 65U);
  EXPECT_EQ(table.definition.expire, Duration(10min));
  const std::vector<StoredType> stored = {{DataType::kGpc0, 1, Duration(0)},
                                          {DataType::kGpc0Rate, 1, Duration(1min)}};
  EXPECT_EQ(table.definition.types, stored);
  EXPECT_EQ(describe(table.definition), "type string len 64 expire 10m store gpc0,gpc0_rate(1m)");
}

TEST(TableWordsTest, SizesTheKeyAsHaproxyAnnouncesIt) {
  struct Row {
    std::string_view text;
    KeyType type;
    std::uint32_t size;
  };
  const Row rows[] = {
      {"type ip size 1", KeyType::kIpv4, 4},
      {"type ipv4 size 1", KeyType::kIpv4, 4},
      {"type ipv6 size 1", KeyType::kIpv6, 16},
      {"type integer size 1", KeyType::kInteger, 4},
      {"type string size 1", KeyType::kString, 32},
      {"type string len 32 size 1", KeyType::kString, 33},
      {"type string len 1 size 1", KeyType::kString, 2},
      {"type binary size 1", KeyType::kBinary, 32},
      {"type binary len 10 size 1", KeyType::kBinary, 10},
      {"type binary len 8192 size 1", KeyType::kBinary, 8192},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(words(row.text).definition.key_type, row.type) << row.text;
    EXPECT_EQ(words(row.text).definition.key_size, row.size) << row.text;
  }
}

TEST(TableWordsTest, KnowsEveryDataType) {
  for (std::size_t index = 0; index < kDataTypeCount; ++index) {
    const DataType type = static_cast<DataType>(index);
    const bool rate = traits(type).kind == ValueKind::kRate;
    std::string argument;
    if (traits(type).array) argument = rate ? "(3,10s)" : "(3)";
    if (!traits(type).array && rate) argument = "(10s)";
    const TableWords table = words("type ip size 1k store " + std::string(traits(type).name) + argument);
    const StoredType stored = {type, traits(type).array ? 3U : 1U, rate ? Duration(10s) : Duration(0)};
    EXPECT_EQ(table.definition.types, std::vector<StoredType>{stored}) << traits(type).name;
  }
}

TEST(TableWordsTest, SortsTypesAndJoinsSeveralSpaces) {
  const TableWords table = words("  store\thttp_req_rate(10s),gpt0,server_id  expire 30s   size 1m type ip ");
  EXPECT_EQ(describe(table.definition), "type ip expire 30s store server_id,gpt0,http_req_rate(10s)");
  EXPECT_EQ(table.size, 1U << 20U);
}

TEST(TableWordsTest, WithoutExpireAndStore) {
  EXPECT_EQ(words("type ip size 10").definition.expire, Duration(0));
  EXPECT_TRUE(words("type ip size 10").definition.types.empty());
  EXPECT_EQ(words("type ip size 10 expire 0").definition.expire, Duration(0));
}

TEST(TableWordsTest, TimesDefaultToMilliseconds) {
  EXPECT_EQ(words("type ip size 10 expire 1500").definition.expire, Duration(1500ms));
  EXPECT_EQ(words("type ip size 10 expire 1500us").definition.expire, Duration(2ms));
  EXPECT_EQ(words("type ip size 10 store conn_rate(250)").definition.types[0].period, Duration(250ms));
}

TEST(TableWordsTest, TakesArraysBesideWhatTheyDoNotReplace) {
  EXPECT_EQ(words("type ip size 10 store gpc(2),gpc0_rate(1s)").definition.types.size(), 2U);
  EXPECT_EQ(words("type ip size 10 store gpc_rate(2,1s),gpc0,gpc1,gpt(100)").definition.types.size(), 4U);
}

TEST(TableWordsTest, TellsWhatIsWrong) {
  struct Row {
    std::string_view text, why;
  };
  const Row rows[] = {
      {"", "type is missing"},
      {"type ip", "size is missing"},
      {"size 10", "type is missing"},
      {"type", "type: its value is missing"},
      {"type ip size", "size: its value is missing"},
      {"type ip size 10 store", "store: its value is missing"},
      {"type boolean size 10", "must be ip, ipv6, integer, string or binary"},
      {"type STRING size 10", "must be ip"},
      {"type ip size 0", "1 to 4294967295"},
      {"type ip size 5g", "1 to 4294967295"},
      {"type ip size many", "a number of entries"},
      {"type ip size 10 size 20", "size is given twice"},
      {"type ip type ip size 10", "type is given twice"},
      {"type ip len 4 size 10", "only a string or binary key"},
      {"type integer len 4 size 10", "only a string or binary key"},
      {"type string len 0 size 10", "1 to 8192"},
      {"type string len 8193 size 10", "1 to 8192"},
      {"type string len x size 10", "1 to 8192"},
      {"type string size 10 len 4", "follows the type"},
      {"len 4 type string size 10", "follows the type"},
      {"type ip size 10 expire soon", "expire: \"soon\""},
      {"type ip size 10 expire 25d", "longer than"},
      {"type ip size 10 nopurge", "nopurge: agents bound memory"},
      {"type ip size 10 peers mesh", "inside HAProxy only"},
      {"type ip size 10 write-to x", "inside HAProxy only"},
      {"type ip size 10 expires 10m", "did you mean expire?"},
      {"type ip size 10 store gpc0, gpc1", "a data type's name is missing"},
      {"type ip size 10 store gpc0,,gpc1", "a data type's name is missing"},
      {"type ip size 10 store (1)", "a data type's name is missing"},
      {"type ip size 10 store http_req_rat(1s)", "did you mean http_req_rate?"},
      {"type ip size 10 store gpc0,gpc0", "gpc0 is given twice"},
      {"type ip size 10 store gpc0 store gpc1", "store is given twice"},
      {"type ip size 10 store gpc0_rate", "write gpc0_rate(1m)"},
      {"type ip size 10 store gpc0_rate()", "a time is written"},
      {"type ip size 10 store gpc0_rate(0)", "a period above 0"},
      {"type ip size 10 store gpc0_rate(30d)", "longer than"},
      {"type ip size 10 store gpc0_rate(1m", "closing parenthesis"},
      {"type ip size 10 store gpc0_rate(", "closing parenthesis"},
      {"type ip size 10 store gpc0(1m)", "has 0 arguments, not 1; write gpc0"},
      {"type ip size 10 store conn_cnt()", "has 0 arguments"},
      {"type ip size 10 store gpt", "write gpt(10)"},
      {"type ip size 10 store gpt(0)", "1 to 100"},
      {"type ip size 10 store gpt(101)", "1 to 100"},
      {"type ip size 10 store gpc_rate(2)", "write gpc_rate(10,1m)"},
      {"type ip size 10 store gpc_rate(2,1m,3)", "has 2 arguments, not 3"},
      {"type ip size 10 store gpc_rate(1m,2)", "1 to 100"},
      {"type ip size 10 store gpt(1),gpt0", "gpt takes the place of gpt0"},
      {"type ip size 10 store gpc0,gpc(1)", "gpc takes the place of gpc0"},
      {"type ip size 10 store gpc1,gpc(1)", "gpc takes the place of gpc1"},
      {"type ip size 10 store gpc_rate(1,1s),gpc0_rate(1s)", "gpc_rate takes the place of gpc0_rate"},
      {"type ip size 10 store gpc_rate(1,1s),gpc1_rate(1s)", "gpc_rate takes the place of gpc1_rate"},
  };
  for (const Row& row : rows) {
    const Parsed<TableWords> parsed = parse_table_words(row.text);
    ASSERT_FALSE(parsed) << row.text;
    EXPECT_THAT(parsed.error(), HasSubstr(row.why)) << row.text;
  }
}

}  // namespace
}  // namespace stickmesh::config
