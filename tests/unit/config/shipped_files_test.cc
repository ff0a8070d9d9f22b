#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/unit/config/outcome.h"

namespace stickmesh::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kPackaged = STICKMESH_CONF_DIR "/stickmesh.toml";
const std::string kRecipes = STICKMESH_CONF_DIR "/recipes/stickmesh.toml";

std::string content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

Loaded load(const std::string& path) {
  const LoadResult result = load_config(path);
  EXPECT_TRUE(result) << fmt::format("{}", fmt::join(lines(result.error()), "\n"));
  return result.value_or(Loaded{});
}

TEST(ShippedFilesTest, ThePackagedConfigStartsOnLoopbackAndLetsNobodyIn) {
  const Loaded loaded = load(kPackaged);
  EXPECT_EQ(loaded.config.peers, Peers{});
  EXPECT_EQ(to_string(loaded.config.peers.listen[0].address), "127.0.0.1:10300");
  EXPECT_THAT(loaded.config.peer, IsEmpty());
  EXPECT_EQ(loaded.config.aggregate, (std::vector<Aggregate>{{"*", "*.total", {}, {}, {}}}));
  EXPECT_THAT(lines(loaded.notes), ElementsAre(HasSubstr("every session will be refused")));
}

TEST(ShippedFilesTest, ThePackagedConfigIsValidWithItsExamplesUncommented) {
  std::istringstream packaged(content(kPackaged));
  std::string text;
  for (std::string line; std::getline(packaged, line);) {
    // Examples have no space after the #; the one of `listen` takes the place of what is set.
    const bool example = line.size() > 1 && line[0] == '#' && line[1] != ' ';
    if (line.substr(0, 6) != "listen") text += (example ? line.substr(1) : line) + "\n";
  }
  const Config config = config_of(text);
  EXPECT_EQ(config.agent.name, "agent-lb1");
  EXPECT_EQ(config.peer.size(), 3U);
  EXPECT_EQ(config.peers.allow_from.size(), 1U);
  EXPECT_EQ(to_string(config.peers.listen[0].address), "192.0.2.11:10300");
}

TEST(ShippedFilesTest, TheConfigOfTheRecipesHasARuleForEach) {
  const Loaded loaded = load(kRecipes);
  EXPECT_THAT(loaded.notes, IsEmpty());
  EXPECT_EQ(loaded.config.peer.size(), 2U);
  ASSERT_EQ(loaded.config.replicate.size(), 1U);
  EXPECT_EQ(loaded.config.replicate[0].tables, "sessions*");
  ASSERT_EQ(loaded.config.aggregate.size(), 2U);
  EXPECT_EQ(loaded.config.aggregate[0].from, "conn");
  EXPECT_EQ(loaded.config.aggregate[0].copy.size(), 1U);
  EXPECT_EQ(loaded.config.aggregate[1].from, "*");
}

TEST(ShippedFilesTest, EveryExampleIsValid) {
  std::size_t examples = 0;
  for (const auto& entry : std::filesystem::directory_iterator(STICKMESH_CONF_DIR "/examples")) {
    if (entry.path().extension() != ".toml") continue;
    load(entry.path());
    ++examples;
  }
  EXPECT_GE(examples, 2U);
}

}  // namespace
}  // namespace stickmesh::config
