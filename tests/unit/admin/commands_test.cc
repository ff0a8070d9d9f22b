#include "agent/admin/commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/admin/restarts.h"
#include "tests/unit/pipeline/instance.h"

namespace stickmesh::admin {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class CommandsTest : public ::testing::Test {
 protected:
  CommandsTest() {
    TableDefinition definition = pipeline::counter_table("http");
    definition.types = {{DataType::kHttpReqCnt, 1, {}},
                        {DataType::kHttpReqRate, 1, std::chrono::seconds(10)},
                        {DataType::kServerKey, 1, {}},
                        {DataType::kGpc, 2, {}}};
    table_ = agent_.registry.declare(definition, 100, pipeline::kStart).table.get();
  }

  std::string ask(std::string_view line) {
    auto answer = commands_.run(line, pipeline::kStart);
    std::string out;
    while (answer->more(out, pipeline::kStart)) {
    }
    return out;
  }

  pipeline::Agent agent_;
  Restarts restarts_;
  Commands commands_{agent_.hub, restarts_, pipeline::kStart};
  store::Table* table_;
};

TEST_F(CommandsTest, ReloadWaitsForTheEnd) {
  auto answer = commands_.run("reload", pipeline::kStart);
  std::string out;
  EXPECT_TRUE(answer->more(out, pipeline::kStart));
  EXPECT_EQ(out, "");
  EXPECT_GT(answer->patience().count(), 0);
  restarts_.outcome = "process 7 is in charge";
  EXPECT_FALSE(answer->more(out, pipeline::kStart));
  EXPECT_EQ(out, "done: process 7 is in charge\n");
  EXPECT_EQ(restarts_.begun, 1U);
}

TEST_F(CommandsTest, ReloadSaysWhyTheOldProcessStays) {
  restarts_.outcome = refuse(Reason::kReloadFailed, "the binary is gone");
  EXPECT_EQ(ask("reload"), "error: reload-failed: the binary is gone: this process stays in charge\n");
}

TEST_F(CommandsTest, ReloadOfAnAgentThatStops) {
  restarts_.outcome = refuse(Reason::kStopping, "this process was told to stop");
  EXPECT_EQ(ask("reload"), "error: stopping: this process was told to stop\n");
}

TEST_F(CommandsTest, AProcessThatHasBeenReplacedTakesNoCommands) {
  commands_.retire("process 7 is in charge now: ask again");
  EXPECT_THAT(ask("show info"), StartsWith("error: bad-command: process 7 is in charge"));
  EXPECT_THAT(ask("set table http key joe data.http_req_cnt 7"), StartsWith("error:"));
  EXPECT_EQ(table_->entries(), 0U);
}

TEST_F(CommandsTest, InfoStartsWithTheName) {
  EXPECT_THAT(ask("show info"), StartsWith("Name: stickmesh\n"));
}

TEST_F(CommandsTest, HelpNamesEveryCommand) {
  for (const char* command :
       {"show info", "show peers", "show tables", "show table", "show errors", "set table", "reload"}) {
    EXPECT_THAT(ask("help"), HasSubstr(command));
  }
}

TEST_F(CommandsTest, AnUnknownCommandIsAnErrorThatIsCounted) {
  EXPECT_THAT(ask("show nothing"), StartsWith("error: bad-command"));
  EXPECT_EQ(agent_.errors.count(Reason::kBadCommand), 1U);
  EXPECT_THAT(ask("show errors"), HasSubstr("bad-command\t1"));
}

TEST_F(CommandsTest, ShowTablePrintsHAProxysFormat) {
  ask("set table http key joe data.http_req_cnt 7 data.http_req_rate 5 data.server_key s1 data.gpc1 3");
  EXPECT_EQ(
      ask("show table http"),
      "# table: http, type: string, size:100, used:1\n"
      "0x1: key=joe use=0 exp=600000 http_req_cnt=7 http_req_rate(10000)=5 server_key=s1 gpc0=0 gpc1=3\n");
  EXPECT_THAT(ask("show table http.total"), StartsWith("# table: http.total, type: string"));
  EXPECT_THAT(ask("show table /http"), HasSubstr("key=joe"));
}

TEST_F(CommandsTest, OriginsShowsEachContributionWithItsVersion) {
  ask("set table http key joe data.http_req_cnt 7");
  EXPECT_THAT(ask("show table http key joe origins"), HasSubstr("origin=agent-1#"));
  EXPECT_THAT(
      ask("show table http json origins"),
      HasSubstr(
          "\"values\":{\"http_req_cnt\":7,\"http_req_rate\":0,\"server_key\":null,\"gpc0\":0,\"gpc1\":0},"
          "\"origins\":[{\"origin\":\"agent-1#"));
}

TEST_F(CommandsTest, FiltersCompareTotals) {
  ask("set table http key joe data.http_req_cnt 7");
  ask("set table http key ann data.http_req_cnt 9");
  EXPECT_THAT(ask("show table http data.http_req_cnt gt 7"), HasSubstr("key=ann"));
  EXPECT_THAT(ask("show table http data.http_req_cnt gt 7"), Not(HasSubstr("key=joe")));
  EXPECT_THAT(ask("show table http data.http_req_cnt le 9 data.http_req_cnt ne 9"), HasSubstr("key=joe"));
  EXPECT_THAT(ask("show table http data.http_req_cnt like 7"), StartsWith("error: bad-command"));
  EXPECT_THAT(ask("show table http data.conn_cnt eq 1"), StartsWith("error: bad-command"));
}

TEST_F(CommandsTest, SetWritesTheOwnContributionAndKeepsWhatItDoesNotName) {
  ask("set table http key joe data.http_req_cnt 7 data.gpc0 1");
  ask("set table http key joe data.gpc1 2");
  EXPECT_EQ(table_->contributions(), 1U);
  EXPECT_THAT(ask("show table http key joe"), HasSubstr("http_req_cnt=7"));
  EXPECT_THAT(ask("show table http key joe"), HasSubstr("gpc0=1 gpc1=2"));
}

TEST_F(CommandsTest, SetTakesALifeTimeOfItsOwn) {
  EXPECT_EQ(ask("set table http key joe expire 30s data.gpc0 1"), "done\n");
  EXPECT_THAT(ask("show table http key joe"), HasSubstr("exp=30000"));
}

TEST_F(CommandsTest, SetRefusesWhatItCannotWrite) {
  for (const char* line :
       {"set table http key joe", "set table nothing key joe data.gpc0 1",
        "set table http key joe data.gpc7 1", "set table http key joe data.gpc0 -1",
        "set table http key joe data.gpc0 4294967296", "set table http key joe data.gpc0",
        "set table http key joe expire never data.gpc0 1", "set table http key joe gpc0 1"}) {
    EXPECT_THAT(ask(line), StartsWith("error: ")) << line;
  }
  EXPECT_EQ(table_->entries(), 0U);
}

TEST_F(CommandsTest, ATotalIsNotSet) {
  EXPECT_THAT(ask("set table http.total key joe data.gpc0 1"),
              StartsWith("error: bad-command: 'http.total' is a total"));
  EXPECT_EQ(table_->entries(), 0U);
  EXPECT_EQ(ask("set table /http key joe data.gpc0 1"), "done\n");
}

TEST_F(CommandsTest, NoEntryOutlivesItsTable) {
  EXPECT_EQ(ask("set table http key joe expire 5s data.gpc0 1"), "done\n");
  EXPECT_THAT(ask("set table http key joe expire 1h data.gpc0 1"), StartsWith("done, for "));
  TableDefinition forever = pipeline::counter_table("forever");
  forever.expire = Duration(0);
  agent_.registry.declare(forever, 100, pipeline::kStart);
  EXPECT_THAT(ask("set table forever key joe expire 5s data.http_req_cnt 1"), HasSubstr("do not expire"));
}

TEST_F(CommandsTest, AKeyIsToldToWhoAskedAlone) {
  const std::string lines[] = {"clear table http key S3CRET", "show table http key S3CRET nonsense",
                               "set table http key a S3CRET data.gpc0 1 data.gpc0",
                               "sett table http key S3CRET",
                               "set table http key " + std::string(300, 'x') + "S3CRET data.gpc0 1"};
  std::uint64_t refused = 0;
  for (const std::string& line : lines) {
    EXPECT_THAT(ask(line), StartsWith("error: ")) << line;
    EXPECT_GT(agent_.errors.recent().size(), std::exchange(refused, agent_.errors.recent().size())) << line;
    EXPECT_THAT(agent_.errors.recent().back().detail, Not(HasSubstr("S3CRET"))) << line;
  }
}

TEST_F(CommandsTest, ShowPeersSaysWhoWasTurnedAway) {
  pipeline::Instance lb1(agent_.hub, "lb1", 10, pipeline::kStart);
  pipeline::Instance web7(agent_.hub, "web7", 10, pipeline::kStart);
  const std::string text = ask("show peers");
  EXPECT_THAT(text, StartsWith("# name\tkind\texpected\tdirection\tstate"));
  EXPECT_THAT(text, HasSubstr("lb1\thaproxy\tyes\tin\tsynchronised\t10\t"));
  EXPECT_THAT(text, HasSubstr("lb2\thaproxy\tyes\t-\tnever connected"));
  EXPECT_THAT(text, HasSubstr("web7\t-\t-\tin\trefused"));
}

TEST_F(CommandsTest, AKeyIsWrittenAsItIsShown) {
  ask("set table http key a\\ b\\\\c data.gpc0 1");
  EXPECT_EQ(as_text(table_->key(table_->next(0))), "a b\\c");
  EXPECT_THAT(ask("show table http key a\\ b\\\\c"), HasSubstr("key=a\\ b\\\\c use=0"));
}

TEST(SplitWordsTest, ABackslashTakesASpaceIntoAWord) {
  EXPECT_EQ(split_words("  show  table a\\ b "), (std::vector<std::string>{"show", "table", "a\\ b"}));
  EXPECT_TRUE(split_words("   ").empty());
}

}  // namespace
}  // namespace stickmesh::admin
