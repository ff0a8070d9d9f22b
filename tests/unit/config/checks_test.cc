#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/config/outcome.h"

namespace stickmesh::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(ChecksTest, PeersHaveNamesOfTheirOwn) {
  EXPECT_THAT(findings(R"([agent]
name = "agent-lb1"
[[peer]]
name = "lb1"
[[peer]]
name = "lb1"
[[peer]]
name = "agent-lb1"
)"),
              ElementsAre("6: peer.name: \"lb1\" is already the peer of line 4",
                          "8: peer.name: \"agent-lb1\" is this agent's own name (agent.name, line 2)"));
}

TEST(ChecksTest, NobodyHasTheNameOfWhatRedisSays) {
  const std::string what = "\"redis\" is the name of what redis.accept takes in";
  EXPECT_THAT(findings("[[peer]]\nname = \"redis\"\n"), ElementsAre(HasSubstr("peer.name: " + what)));
  EXPECT_THAT(findings("[agent]\nname = \"redis\"\n[[peer]]\nname = \"lb1\"\n"),
              ElementsAre(HasSubstr("agent.name: " + what)));
}

TEST(ChecksTest, TheDefaultAgentNameIsNoPeersEither) {
  const std::string name = config_of("").agent.name;
  EXPECT_THAT(findings("[[peer]]\nname = \"" + name + "\"\n"),
              ElementsAre(HasSubstr("this agent's own name")));
}

TEST(ChecksTest, SomebodyMustBeAbleToConnect) {
  EXPECT_THAT(
      findings("[peers]\nlisten = []\n[[peer]]\nname = \"a\"\n"),
      ElementsAre("2: peers.listen: is empty and no peer has an address: there would be no session at all"));
  EXPECT_THAT(findings("[peers]\nlisten = []\n[[peer]]\nname = \"a\"\naddress = \"a:1\"\n"), IsEmpty());
}

TEST(ChecksTest, NotesPeersThatWillBeRefused) {
  EXPECT_THAT(notes(""), ElementsAre(HasSubstr("every session will be refused")));
  EXPECT_THAT(notes("[peers]\naccept-unknown = true\n"), IsEmpty());
  EXPECT_THAT(notes("[[peer]]\nname = \"a\"\n"), ElementsAre(HasSubstr("2: peer.address: \"a\" has none")));
  EXPECT_THAT(notes("[peers]\nallow-from = [\"::1\"]\n[[peer]]\nname = \"a\"\n"), IsEmpty());
  EXPECT_THAT(notes("[peers]\nlisten = [\"/a.sock\"]\n[[peer]]\nname = \"a\"\n"), IsEmpty());
  EXPECT_THAT(notes("[[peer]]\nname = \"a\"\naddress = \"a:1\"\n"), IsEmpty());
  EXPECT_THAT(notes("[peers.tls]\ncert = \"/c\"\nca = \"/a\"\n[[peer]]\nname = \"a\"\n"), IsEmpty());
  EXPECT_THAT(notes("[peers.tls]\ncert = \"/c\"\nverify = \"none\"\n[[peer]]\nname = \"a\"\n"),
              ElementsAre(HasSubstr("without verified TLS")));
}

TEST(ChecksTest, AnAddressIsListenedOnOnce) {
  EXPECT_THAT(findings("[peers]\nlisten = [\"127.0.0.1:1\",\n\"127.0.0.1:1\"]\n"),
              ElementsAre("3: peers.listen: \"127.0.0.1:1\" is already in line 2"));
  EXPECT_THAT(findings("[peers]\nlisten = [\"/run/stickmesh/admin.sock\"]\n"),
              ElementsAre("2: peers.listen: \"/run/stickmesh/admin.sock\" is admin.socket"));
}

TEST(ChecksTest, TablesHaveNamesOfTheirOwn) {
  EXPECT_THAT(
      findings(R"([[table]]
name = "login"
define = "type ip size 1"
[[table]]
name = "login"
define = "type ip size 1"
[[table]]
name = "limits"
define = "type ip size 1"
[[table]]
name = "stickmesh"
define = "type ip size 1"
[[table]]
name = "http.total"
define = "type ip size 1"
[[aggregate]]
from = "*"
to = "*.total"
)"),
      ElementsAre(HasSubstr("5: table.name: \"login\" is already the table of line 2"),
                  HasSubstr("8: table.name: \"limits\" is written by agents"),
                  HasSubstr("11: table.name: \"stickmesh\" is written by agents"),
                  HasSubstr("14: table.name: \"http.total\" is an output of the aggregate of line 17")));
  EXPECT_THAT(
      findings("[status]\ntable = \"\"\n[[table]]\nname = \"stickmesh\"\ndefine = \"type ip size 1\"\n"),
      IsEmpty());
}

TEST(ChecksTest, LimitsHaveNamesOfTheirOwn) {
  EXPECT_THAT(findings(R"([[limit]]
name = "api"
table = "http"
type = "gpc0"
above = 1
[[limit]]
name = "api"
table = "http"
type = "gpc1"
above = 1
)"),
              ElementsAre("7: limit.name: \"api\" is already the limit of line 2"));
}

TEST(ChecksTest, TheStatusTableIsNotTheLimits) {
  EXPECT_THAT(findings("[status]\ntable = \"limits\"\n"),
              ElementsAre(HasSubstr("2: status.table: \"limits\"")));
}

}  // namespace
}  // namespace stickmesh::config
