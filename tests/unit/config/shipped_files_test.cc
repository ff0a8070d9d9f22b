#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
const std::string kFull = STICKMESH_CONF_DIR "/examples/full.toml";
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

TEST(ShippedFilesTest, TheFullExampleHoldsTheDefaults) {
  Config config = load(kFull).config;
  EXPECT_EQ(config.agent.name, "agent-lb1");
  config.agent.name.clear();

  ASSERT_EQ(config.peer.size(), 1U);
  EXPECT_EQ(config.peer[0].kind, Peer{}.kind);
  ASSERT_EQ(config.table.size(), 1U);
  EXPECT_EQ(config.table[0].is_private, Table{}.is_private);
  EXPECT_EQ(config.aggregate, (std::vector<Aggregate>{{"*", "*.total", {}, {}, {}}}));
  ASSERT_EQ(config.replicate.size(), 1U);
  ASSERT_EQ(config.limit.size(), 1U);
  EXPECT_EQ(config.limit[0].mode, Limit{}.mode);
  ASSERT_EQ(config.hook.size(), 1U);
  Hook hook;
  hook.file = config.hook[0].file;
  EXPECT_EQ(config.hook[0], hook);

  config.peer.clear();
  config.table.clear();
  config.aggregate.clear();
  config.replicate.clear();
  config.limit.clear();
  config.hook.clear();
  EXPECT_EQ(config, Config{});
}

/// The keys that the reader asks for where an unknown one stands at |at| in |text|.
std::vector<std::string> known_keys(std::string text, std::size_t at) {
  text.insert(at, "zzz = 1\n");
  const LoadResult result = parse_config(text, "full.toml");
  EXPECT_FALSE(result);
  if (result) return {};
  const std::string& message = result.error()[0].message;
  const std::size_t list = message.find("known are ");
  std::vector<std::string> keys;
  if (list == std::string::npos) return keys;
  std::istringstream words(message.substr(list + 10));
  for (std::string word; std::getline(words, word, ',');)
    keys.push_back(word.substr(word.find_first_not_of(' ')));
  return keys;
}

TEST(ShippedFilesTest, TheFullExampleHoldsEveryKey) {
  const std::string text = "\n" + content(kFull);
  std::vector<std::size_t> starts = {1};
  for (std::size_t at = text.find("\n["); at != std::string::npos; at = text.find("\n[", at + 1)) {
    starts.push_back(text.find('\n', at + 1) + 1);
  }
  ASSERT_EQ(starts.size(), 17U);
  for (const std::size_t start : starts) {
    const std::string section = "\n" + text.substr(start, text.find("\n[", start) - start);
    const std::vector<std::string> known = known_keys(text, start);
    EXPECT_FALSE(known.empty()) << section;
    for (const std::string& key : known) {
      const bool as_value = section.find("\n" + key + " = ") != std::string::npos;
      const bool as_table =
          text.find("[" + key + "]") != std::string::npos || text.find("." + key + "]") != std::string::npos;
      EXPECT_TRUE(as_value || as_table) << key << " is missing in" << section;
    }
  }
}

}  // namespace
}  // namespace stickmesh::config
