#include "agent/config/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "tests/unit/config/outcome.h"

namespace stickmesh::config {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

/// A file below a directory of its own, removed at the end.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view content) {
    char pattern[] = "/tmp/stickmesh-config-XXXXXX";
    folder_ = ::mkdtemp(pattern);
    path_ = folder_ + "/stickmesh.toml";
    std::ofstream(path_, std::ios::binary) << content;
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    ::unlink(path_.c_str());
    ::rmdir(folder_.c_str());
  }
  const std::string& path() const { return path_; }
  const std::string& folder() const { return folder_; }

 private:
  std::string folder_;
  std::string path_;
};

TEST(ConfigFileTest, AnEmptyFileIsAllDefaults) {
  const TemporaryFile file("");
  const LoadResult result = load_config(file.path());
  ASSERT_TRUE(result);
  Config expected;
  expected.agent.name = result->config.agent.name;
  EXPECT_EQ(result->config, expected);
  EXPECT_THAT(result->config.agent.name, StartsWith("agent-"));
  EXPECT_EQ(result->config.agent.name.find('.'), std::string::npos);
}

TEST(ConfigFileTest, FindingsNameFileAndLine) {
  const TemporaryFile file("[log]\n\nlevel = \"loud\"\n");
  const LoadResult result = load_config(file.path());
  ASSERT_FALSE(result);
  ASSERT_THAT(result.error(), SizeIs(1));
  EXPECT_EQ(to_string(result.error()[0]),
            file.path() +
                ":3: log.level: \"loud\" is none of \"debug\", \"info\", \"notice\", \"warning\", "
                "\"error\"");
}

TEST(ConfigFileTest, RefusesWhatItCannotRead) {
  const TemporaryFile file("");
  const LoadResult missing = load_config(file.path() + ".missing");
  ASSERT_FALSE(missing);
  EXPECT_THAT(to_string(missing.error()[0]),
              AllOf(StartsWith(file.path() + ".missing:1: "), HasSubstr("No such file")));
  EXPECT_THAT(to_string(load_config(file.folder()).error()[0]), HasSubstr("Is a directory"));
  EXPECT_THAT(to_string(load_config("").error()[0]), HasSubstr("No such file"));
  EXPECT_THAT(to_string(load_config("/dev/zero").error()[0]), HasSubstr("larger than 4MiB"));
}

TEST(ConfigFileTest, RefusesWhatIsNoToml) {
  const std::string_view cases[] = {
      std::string_view("\0\0\0\0", 4),
      std::string_view("\x7f"
                       "ELF\x02\x01\x01\0\0\0",
                       10),
      "\xff\xfe",
      "[agent]\nname = \"\xc3\x28\"\n",
      "[agent",
      "name",
      "[agent]\nname = ",
      "[agent]\nname = \"lb1\n",
      "[agent]\nmax-memory = 0x\n",
      "global\n  localpeer lb1\n",
  };
  for (const std::string_view text : cases) {
    ASSERT_THAT(findings(text), SizeIs(1)) << text;
    EXPECT_THAT(findings(text)[0], HasSubstr(": not valid TOML: ")) << text;
  }
}

TEST(ConfigFileTest, NamesTheLineOfATomlError) {
  EXPECT_THAT(findings("[agent]\nname = \"a\"\nname = \"b\"\n"),
              ElementsAre(StartsWith("3: not valid TOML: ")));
  EXPECT_THAT(findings("[agent]\n\n[log]\n[agent]\n"), ElementsAre(StartsWith("4: not valid TOML: ")));
  EXPECT_THAT(findings("[peers]\nmax-origins = 99999999999999999999\n"),
              ElementsAre(StartsWith("2: not valid TOML: ")));
  EXPECT_THAT(findings("peer = 1\n[[peer]]\nname = \"a\"\n"), ElementsAre(StartsWith("2: not valid TOML: ")));
}

TEST(ConfigFileTest, AFindingIsOneLine) {
  EXPECT_THAT(findings("[peers]\naccept-unknown = fals\n"), ElementsAre(testing::Not(HasSubstr("\n"))));
}

TEST(ConfigFileTest, SurvivesDeepNesting) {
  const std::string deep = "x = " + std::string(100'000, '[');
  EXPECT_THAT(findings(deep), ElementsAre(HasSubstr("not valid TOML")));
  std::string dotted = "x";
  for (int level = 0; level < 2'000'000; ++level) dotted += ".x";
  EXPECT_THAT(findings("\n" + dotted + " = 1\n"),
              ElementsAre(StartsWith("2: not valid: a key of so many parts")));
  EXPECT_THAT(findings("[" + dotted + "]\n"), ElementsAre(HasSubstr("so many parts")));
  EXPECT_THAT(findings("[log] # " + std::string(100, '.') + "\nlevel = '" + std::string(100, '.') + "'\n"),
              ElementsAre(StartsWith("2: log.level: ")));

  std::string inline_tables = "x = ";
  for (int level = 0; level < 255; ++level) inline_tables += "[{ a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a = \n";
  EXPECT_THAT(findings(inline_tables), SizeIs(1));
}

TEST(ConfigFileTest, CollectsEverythingThatIsWrong) {
  EXPECT_THAT(
      findings(R"(nonsense = 1
[agent]
name = "a b"
max-memory = "lots"

[peers]
publish-interval = 20
listn = []
listen = ["127.0.0.1", "127.0.0.1:1", 3]

[[peer]]
address = "lb1"
[[peer]]
name = "lb1"
kind = "varnish"
)"),
      ElementsAre(StartsWith("1: nonsense: unknown key; known are agent, log, "),
                  StartsWith("3: agent.name: "), StartsWith("4: agent.max-memory: "),
                  StartsWith("7: peers.publish-interval: "),
                  "8: peers.listn: unknown key; did you mean listen?", StartsWith("9: peers.listen: "),
                  StartsWith("9: peers.listen: "), StartsWith("11: peer.name: is missing"),
                  StartsWith("12: peer.address: "), StartsWith("15: peer.kind: ")));
}

TEST(ConfigFileTest, NamesTheLineOfAnElementOfAList) {
  EXPECT_THAT(findings("[peers]\nallow-from = [\n  \"192.0.2.0/24\",\n  \"192.0.3.1/24\",\n]\n"),
              ElementsAre(StartsWith("4: peers.allow-from: \"192.0.3.1/24\"")));
}

TEST(ConfigFileTest, RefusesUnknownKeysInEverySection) {
  const std::string_view heads[] = {
      "[agent]", "[log]",    "[admin]", "[peers]",     "[status]",
      "[spoe]",  "[events]", "[redis]", "[peers.tls]", "[redis.tls]",
  };
  for (const std::string_view head : heads) {
    const std::string path(head.substr(1, head.size() - 2));
    EXPECT_THAT(findings(fmt::format("\n{}\nzzz = 1\n", head)),
                ElementsAre(StartsWith("3: " + path + ".zzz: unknown")));
  }
  const std::pair<std::string_view, std::string_view> entries[] = {
      {"peer", "name = 'a'"},
      {"table", "name = 'a'\ndefine = 'type ip size 1'"},
      {"aggregate", "from = 'a'\nto = 'b'"},
      {"replicate", "tables = 'a'"},
      {"limit", "name = 'a'\ntable = 'b'\ntype = 'gpc0'\nabove = 1"},
      {"hook", "file = '/a'"},
  };
  for (const auto& [name, body] : entries) {
    EXPECT_THAT(findings(fmt::format("[[{}]]\nzzz = 1\n{}\n", name, body)),
                ElementsAre(StartsWith(fmt::format("2: {}.zzz: unknown key; known are ", name))));
  }
  EXPECT_THAT(findings("[peers]\nlisten = [{ path = \"/a\", owner = \"x\" }]\n"),
              ElementsAre(StartsWith("2: peers.listen.owner: unknown key")));
}

TEST(ConfigFileTest, WritesStrangeKeysSafely) {
  EXPECT_THAT(findings("\"a\\nb\" = 1\n"), ElementsAre(StartsWith(R"(1: "a\x0ab": unknown key)")));
  EXPECT_THAT(findings("\"\" = 1\n"), ElementsAre(StartsWith(R"(1: "": unknown key)")));
  EXPECT_THAT(findings("agent.nam = \"a\"\n"), ElementsAre("1: agent.nam: unknown key; did you mean name?"));
}

TEST(ConfigFileTest, TellsTablesFromListsOfTables) {
  EXPECT_THAT(findings("\n[peer]\nname = \"a\"\n"),
              ElementsAre("2: peer: must be a list of tables; write [[peer]], not a table"));
  EXPECT_THAT(findings("peer = \"a\"\n"), ElementsAre(HasSubstr("[[peer]], not the string \"a\"")));
  EXPECT_THAT(findings("peer = [1]\n"), ElementsAre(HasSubstr("[[peer]], not the integer 1")));
  EXPECT_THAT(findings("\n[[peers]]\n"), ElementsAre("2: peers: stands once; write [peers], not [[peers]]"));
  EXPECT_THAT(findings("agent = 1\n"), ElementsAre("1: agent: must be a table, [agent], not the integer 1"));
  EXPECT_THAT(findings("peer = []\n"), IsEmpty());
  EXPECT_EQ(config_of("peer = [{ name = \"a\" }, { name = \"b\" }]\n").peer.size(), 2U);
}

TEST(ConfigFileTest, NotesOncePerPartWhatThisVersionDoesNotUse) {
  EXPECT_THAT(
      notes(R"([peers]
accept-unknown = true
[agent]
name = "agent-lb1"
drain-timeout = "5s"
[admin]
token-file = "/token"
http = "127.0.0.1:10303"
[spoe]
deadline = "20ms"
max-frame-size = 4096
)"),
      ElementsAre("7: admin.http, admin.token-file: checked, but not in this build: it has no effect"));
}

TEST(ConfigFileTest, NotesNothingForAPeerThatIsAnAgent) {
  EXPECT_THAT(notes("[[peer]]\nname = 'a'\naddress = 'a:1'\nkind = 'haproxy'\n"), IsEmpty());
  EXPECT_THAT(notes("[[peer]]\nname = 'a'\naddress = 'a:1'\nkind = 'agent'\n"), IsEmpty());
}

TEST(ConfigFileTest, NotesNothingForWhatIsAtItsDefault) {
  EXPECT_THAT(notes(R"([peers]
accept-unknown = true
learn-timeout = "5s"
[agent]
drain-timeout = "30s"
[spoe]
listen = ["127.0.0.1:10301"]
deadline = "30ms"
[peers.tls]
verify = "required"
)"),
              IsEmpty());
}

}  // namespace
}  // namespace stickmesh::config
