#include "agent/config/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/config/config_file.h"

namespace stickmesh::config {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(MemoryTest, NamesTheBound) {
  const std::string text = memory_worst_case(Config{});
  EXPECT_THAT(text, HasSubstr("at most 1.0 GiB in all (agent.max-memory)"));
  EXPECT_THAT(text, HasSubstr("no table is declared"));
}

TEST(MemoryTest, EstimatesTheDeclaredTables) {
  constexpr std::string_view kText =
      "[[table]]\nname = 'login'\ndefine = 'type ip size 1m expire 10m store gpc0,gpc0_rate(1m)'\n";
  const LoadResult loaded = parse_config(kText, "test.toml");
  ASSERT_TRUE(loaded);
  Config config = loaded->config;
  EXPECT_THAT(memory_worst_case(config),
              HasSubstr("the 1 declared table (1048576 entries) takes about 152 MiB"));
  EXPECT_THAT(memory_worst_case(config),
              HasSubstr("with all 256 of peers.max-origins, which max-memory would cut"));
  config.peers.max_origins = 1;
  EXPECT_THAT(memory_worst_case(config), Not(HasSubstr("cut short")));
}

}  // namespace
}  // namespace stickmesh::config
