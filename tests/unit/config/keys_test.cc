#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/config/outcome.h"

/// Every key of the contract: read into its member, refused with another type, refused out of its range.
namespace stickmesh::config {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

Address tcp(std::string_view host, std::uint16_t port) {
  return {Address::Kind::kTcp, std::string(host), port};
}

TEST(KeysTest, AgentLogAdminStatus) {
  const Config config = config_of(R"(
[agent]
name = "agent-x"
state-dir = "/srv/state"
snapshot-interval = "5m"
drain-timeout = "0"
switch-timeout = "50ms"
max-memory = "64MiB"
[log]
level = "debug"
target = "syslog"
[admin]
socket = "/tmp/a.sock"
http = "127.0.0.1:10303"
token-file = "/etc/stickmesh/token"
[status]
table = ""
)");
  EXPECT_EQ(config.agent, (Agent{"agent-x", "/srv/state", 5min, 0s, 50ms, 64U << 20U}));
  EXPECT_EQ(config.log, (Log{log::Level::kDebug, log::Target::kSyslog}));
  EXPECT_EQ(config.admin, (Admin{"/tmp/a.sock", tcp("127.0.0.1", 10303), "/etc/stickmesh/token"}));
  EXPECT_EQ(config.status.table, "");
}

TEST(KeysTest, Peers) {
  const Config config = config_of(R"(
[peers]
listen = ["[::]:1", "abns@mesh", "/a.sock", { path = "/b.sock", mode = "600", group = "haproxy" }, { path = "abns@c" }]
accept-unknown = true
allow-from = ["192.0.2.0/24", "::1"]
away-after = "20s"
forget-after = "1d"
learn-timeout = "1s"
publish-interval = 0
max-origins = 1
max-tables = 65535
[peers.tls]
cert = "/c"
key = "/k"
ca = "/a"
verify = "none"
)");
  Peers expected;
  expected.listen = {Listen{tcp("::", 1)}, Listen{Address{Address::Kind::kAbstract, "mesh", 0}},
                     Listen{Address{Address::Kind::kUnix, "/a.sock", 0}},
                     Listen{Address{Address::Kind::kUnix, "/b.sock", 0}, 0600, "haproxy"},
                     Listen{Address{Address::Kind::kAbstract, "c", 0}}};
  expected.accept_unknown = true;
  expected.allow_from = {*Cidr::parse("192.0.2.0/24"), *Cidr::parse("::1")};
  expected.away_after = 20s;
  expected.forget_after = 24h;
  expected.learn_timeout = 1s;
  expected.publish_interval = 0s;
  expected.max_origins = 1;
  expected.max_tables = 65535;
  expected.tls = {"/c", "/k", "/a", Verify::kNone};
  EXPECT_EQ(config.peers, expected);
  EXPECT_EQ(config.peers.listen[3].line.number, 3U);
}

TEST(KeysTest, ListsOfTables) {
  const Config config = config_of(R"(
[[peer]]
name = "lb1"
address = "192.0.2.11:10000"
[[peer]]
name = "agent-lb2"
kind = "agent"
address = ""
[[table]]
name = "login"
define = "type string len 64 size 100k expire 10m store gpc0"
private = true
[[aggregate]]
from = "h*"
to = "*.sum"
function = { gpt0 = "max" }
copy = { conn_cur = "gpc0" }
[[replicate]]
tables = "sessions*"
[[limit]]
name = "api"
table = "http"
type = "bytes_out_cnt"
above = 4294967295
mode = "shadow"
[[hook]]
file = "/h.lua"
frontends = ["shop", "api-*"]
call-time = "5ms"
memory = "1MiB"
on-error = "deny"
)");
  EXPECT_EQ(config.peer, (std::vector<Peer>{{"lb1", tcp("192.0.2.11", 10000), PeerKind::kHaproxy, {}},
                                            {"agent-lb2", std::nullopt, PeerKind::kAgent, {}}}));
  EXPECT_EQ(config.peer[1].line.number, 6U);

  ASSERT_EQ(config.table.size(), 1U);
  EXPECT_EQ(config.table[0].definition.name, "login");
  EXPECT_EQ(describe(config.table[0].definition), "type string len 64 expire 10m store gpc0");
  EXPECT_EQ(config.table[0].size, 102400U);
  EXPECT_TRUE(config.table[0].is_private);
  EXPECT_EQ(config.table[0].line.number, 10U);

  const std::vector<Aggregate> aggregates = {
      {"h*", "*.sum", {{DataType::kGpt0, Function::kMax}}, {{DataType::kConnCur, DataType::kGpc0}}, {}}};
  EXPECT_EQ(config.aggregate, aggregates);
  EXPECT_EQ(config.replicate, (std::vector<Replicate>{{"sessions*", {}}}));
  EXPECT_EQ(
      config.limit,
      (std::vector<Limit>{{"api", "http", DataType::kBytesOutCnt, 4294967295U, LimitMode::kShadow, {}}}));
  EXPECT_EQ(config.hook,
            (std::vector<Hook>{{"/h.lua", {"shop", "api-*"}, 5ms, 1U << 20U, OnError::kDeny, {}}}));
}

TEST(KeysTest, SpoeEventsRedis) {
  const Config config = config_of(R"(
[spoe]
listen = ["/var/lib/haproxy/spoe.sock"]
max-frame-size = "16k"
deadline = "10ms"
[events]
listen = ["127.0.0.1:10302"]
[redis]
address = ["r1:26379", "r2:26379"]
prefix = "x"
tables = "http*"
flush-interval = "1s"
restore = false
user = "u"
password-file = "/p"
db = 2
sentinel = "main"
cluster = false
publish = true
accept = ["bans*", "http"]
[redis.tls]
ca = "/ca"
)");
  EXPECT_EQ(config.spoe.listen[0].address.host, "/var/lib/haproxy/spoe.sock");
  EXPECT_EQ(config.spoe.max_frame_size, 16384U);
  EXPECT_EQ(config.spoe.deadline, Duration(10ms));
  EXPECT_EQ(config.events.listen, std::vector<Listen>{Listen{tcp("127.0.0.1", 10302)}});
  Redis expected;
  expected.address = {tcp("r1", 26379), tcp("r2", 26379)};
  expected.prefix = "x";
  expected.tables = "http*";
  expected.flush_interval = 1s;
  expected.restore = false;
  expected.user = "u";
  expected.password_file = "/p";
  expected.db = 2;
  expected.sentinel = "main";
  expected.publish = true;
  expected.accept = {"bans*", "http"};
  expected.tls.ca = "/ca";
  EXPECT_EQ(config.redis, expected);
  EXPECT_EQ(config_of("[redis]\naddress = \"/run/redis.sock\"\n").redis.address.size(), 1U);
  EXPECT_TRUE(config_of("[redis]\ncluster = true\naddress = [\"a:1\", \"b:1\"]\n").redis.cluster);
}

struct Key {
  std::string_view head;  ///< what stands above the key, ending in a newline
  std::string_view path;
  std::string_view good;  ///< a value of the right type, as TOML
};

constexpr std::string_view kTable = "[[table]]\ndefine = 'type ip size 1'\n";
constexpr std::string_view kAggregate = "[[aggregate]]\nfrom = 'a'\nto = 'b'\n";
constexpr std::string_view kLimit = "[[limit]]\nname = 'a'\ntable = 'b'\ntype = 'gpc0'\nabove = 1\n";

/// |head| with one of its keys left out, so that it can be given anew.
std::string without(std::string_view head, std::string_view key) {
  std::string out(head);
  const std::size_t at = out.find("\n" + std::string(key) + " = ");
  if (at != std::string::npos) out.erase(at + 1, out.find('\n', at + 1) - at);
  return out;
}

const std::vector<Key>& all_keys() {
  static const std::vector<Key> keys = {
      {"[agent]\n", "agent.name", "'a'"},
      {"[agent]\n", "agent.state-dir", "'/a'"},
      {"[agent]\n", "agent.snapshot-interval", "'1s'"},
      {"[agent]\n", "agent.drain-timeout", "'1s'"},
      {"[agent]\n", "agent.switch-timeout", "'1s'"},
      {"[agent]\n", "agent.max-memory", "'1GiB'"},
      {"[log]\n", "log.level", "'info'"},
      {"[log]\n", "log.target", "'stderr'"},
      {"[admin]\n", "admin.socket", "'/a'"},
      {"[admin]\n", "admin.http", "'127.0.0.1:1'"},
      {"[admin]\n", "admin.token-file", "'/a'"},
      {"[peers]\n", "peers.listen", "['127.0.0.1:1']"},
      {"[peers]\n", "peers.accept-unknown", "true"},
      {"[peers]\n", "peers.allow-from", "['127.0.0.1']"},
      {"[peers]\n", "peers.away-after", "'1s'"},
      {"[peers]\n", "peers.forget-after", "'1h'"},
      {"[peers]\n", "peers.learn-timeout", "'1s'"},
      {"[peers]\n", "peers.publish-interval", "'1s'"},
      {"[peers]\n", "peers.max-origins", "7"},
      {"[peers]\n", "peers.max-tables", "7"},
      {"[peers.tls]\nca = '/a'\ncert = '/a'\n", "peers.tls.cert", "'/a'"},
      {"[peers.tls]\nca = '/a'\ncert = '/a'\n", "peers.tls.key", "'/a'"},
      {"[peers.tls]\nca = '/a'\ncert = '/a'\n", "peers.tls.ca", "'/a'"},
      {"[peers.tls]\nca = '/a'\ncert = '/a'\n", "peers.tls.verify", "'required'"},
      {"[[peer]]\nname = 'a'\n", "peer.name", "'a'"},
      {"[[peer]]\nname = 'a'\n", "peer.address", "'a:1'"},
      {"[[peer]]\nname = 'a'\n", "peer.kind", "'agent'"},
      {kTable, "table.name", "'a'"},
      {"[[table]]\nname = 'a'\n", "table.define", "'type ip size 1'"},
      {"[[table]]\nname = 'a'\ndefine = 'type ip size 1'\n", "table.private", "true"},
      {kAggregate, "aggregate.from", "'a'"},
      {kAggregate, "aggregate.to", "'b'"},
      {kAggregate, "aggregate.function", "{ gpt0 = 'max' }"},
      {kAggregate, "aggregate.function.gpt0", "'max'"},
      {kAggregate, "aggregate.copy", "{ conn_cur = 'gpc0' }"},
      {kAggregate, "aggregate.copy.conn_cur", "'gpc0'"},
      {"[[replicate]]\n", "replicate.tables", "'a'"},
      {kLimit, "limit.name", "'a'"},
      {kLimit, "limit.table", "'a'"},
      {kLimit, "limit.type", "'gpc0'"},
      {kLimit, "limit.above", "7"},
      {kLimit, "limit.mode", "'shadow'"},
      {"[status]\n", "status.table", "'a'"},
      {"[spoe]\n", "spoe.listen", "['127.0.0.1:1']"},
      {"[spoe]\n", "spoe.max-frame-size", "4096"},
      {"[spoe]\n", "spoe.deadline", "'1s'"},
      {"[events]\n", "events.listen", "['127.0.0.1:1']"},
      {"[[hook]]\nfile = '/a'\n", "hook.file", "'/a'"},
      {"[[hook]]\nfile = '/a'\n", "hook.frontends", "['a']"},
      {"[[hook]]\nfile = '/a'\n", "hook.call-time", "'1s'"},
      {"[[hook]]\nfile = '/a'\n", "hook.memory", "'1MiB'"},
      {"[[hook]]\nfile = '/a'\n", "hook.on-error", "'deny'"},
      {"[redis]\n", "redis.address", "'a:1'"},
      {"[redis]\n", "redis.prefix", "'a'"},
      {"[redis]\n", "redis.tables", "'a'"},
      {"[redis]\n", "redis.flush-interval", "'1s'"},
      {"[redis]\n", "redis.restore", "true"},
      {"[redis]\npassword-file = '/a'\n", "redis.user", "'a'"},
      {"[redis]\n", "redis.password-file", "'/a'"},
      {"[redis]\n", "redis.db", "7"},
      {"[redis]\n", "redis.sentinel", "'a'"},
      {"[redis]\n", "redis.cluster", "true"},
      {"[redis]\n", "redis.publish", "true"},
      {"[redis]\n", "redis.accept", "['a']"},
      {"[redis.tls]\nca = '/a'\ncert = '/a'\n", "redis.tls.cert", "'/a'"},
      {"[redis.tls]\nca = '/a'\ncert = '/a'\n", "redis.tls.key", "'/a'"},
      {"[redis.tls]\nca = '/a'\ncert = '/a'\n", "redis.tls.ca", "'/a'"},
      {"[redis.tls]\nca = '/a'\ncert = '/a'\n", "redis.tls.verify", "'required'"},
  };
  return keys;
}

/// The key as it stands below its head: "copy.conn_cur" of "aggregate.copy.conn_cur".
std::string_view local_name(const Key& key) {
  const std::size_t open = key.head.find_first_not_of('[');
  return key.path.substr(key.head.find(']') - open + 1);
}

TEST(KeysTest, EveryKeyIsAccepted) {
  for (const Key& key : all_keys()) {
    const std::string text =
        fmt::format("{}{} = {}\n", without(key.head, local_name(key)), local_name(key), key.good);
    EXPECT_THAT(findings(text), IsEmpty()) << text;
  }
}

TEST(KeysTest, EveryKeyRefusesOtherTypes) {
  for (const Key& key : all_keys()) {
    const char kind = key.good.front();
    const bool time = key.good.find("s'") != std::string_view::npos || key.good == "'1h'";
    const bool size =
        key.path == "agent.max-memory" || key.path == "hook.memory" || key.path == "spoe.max-frame-size";
    std::vector<std::string_view> wrong = {"1.5", "1979-05-27", "nan"};
    if (kind != 't') wrong.push_back("false");
    if (kind != '\'' && !size) wrong.push_back("'text'");
    if (kind != '7' && !time && !size) wrong.push_back("7");
    if (kind != '[' && key.path != "redis.address") wrong.push_back("['a']");
    if (kind == '[' || key.path == "redis.address") wrong.push_back("[7]");
    if (kind != '{') wrong.push_back("{ }");
    for (const std::string_view value : wrong) {
      const std::string head = without(key.head, local_name(key));
      const std::string text = fmt::format("{}{} = {}\n", head, local_name(key), value);
      const auto line = std::count(head.begin(), head.end(), '\n') + 1;
      EXPECT_THAT(findings(text),
                  testing::Contains(AllOf(StartsWith(fmt::format("{}: {}: must be ", line, key.path)),
                                          HasSubstr(", not "))))
          << text;
    }
  }
}

TEST(KeysTest, RequiredKeysMustBeGiven) {
  EXPECT_THAT(findings("\n[[peer]]\n"), ElementsAre("2: peer.name: is missing; write name = \"lb1\""));
  EXPECT_THAT(findings("[[table]]\n"),
              ElementsAre(StartsWith("1: table.name: is missing; write name = "),
                          StartsWith("1: table.define: is missing; write define = ")));
  EXPECT_THAT(findings("[[aggregate]]\n"),
              ElementsAre(HasSubstr("from: is missing"), HasSubstr("to: is missing")));
  EXPECT_THAT(findings("[[replicate]]\n"), ElementsAre(StartsWith("1: replicate.tables: is missing")));
  EXPECT_THAT(findings("[[limit]]\n"), ElementsAre(HasSubstr("limit.name"), HasSubstr("limit.table"),
                                                   HasSubstr("limit.type"), HasSubstr("limit.above")));
  EXPECT_THAT(findings("[[hook]]\n"), ElementsAre(StartsWith("1: hook.file: is missing")));
  EXPECT_THAT(findings("[peers]\nlisten = [{ mode = \"660\" }]\n"),
              ElementsAre(StartsWith("2: peers.listen.path: is missing")));
}

TEST(KeysTest, RangesAreKept) {
  struct Row {
    std::string_view head, key, value, why;
  };
  const Row rows[] = {
      {"[agent]", "name", "'a b'", "letters, digits"},
      {"[agent]", "name", "''", "is empty"},
      {"[agent]", "state-dir", "'state'", "absolute path"},
      {"[agent]", "snapshot-interval", "'10ms'", "must be 1s to 1d"},
      {"[agent]", "drain-timeout", "'2h'", "must be 0s to 1h"},
      {"[agent]", "switch-timeout", "0", "must be 1ms to 10s"},
      {"[agent]", "switch-timeout", "20", "write \"20s\" or \"20ms\""},
      {"[agent]", "switch-timeout", "-20", "must be a time such as"},
      {"[agent]", "max-memory", "'1k'", "must be 1MiB to 1024TiB"},
      {"[agent]", "max-memory", "-1", "must be a size"},
      {"[agent]", "max-memory", "1000", "1000 must be 1MiB"},
      {"[agent]", "max-memory", "'1GB'", "16MiB"},
      {"[log]", "level", "'warn'", "did you mean warning?"},
      {"[admin]", "socket", "''", "must be an absolute path"},
      {"[admin]", "socket", "'127.0.0.1:1'", "must be an absolute path"},
      {"[admin]", "socket", "'/run/'", "a directory"},
      {"[admin]", "http", "'10303'", "the port is missing"},
      {"[peers]", "listen", "['127.0.0.1:0']", "1 to 65535"},
      {"[peers]", "listen", "[{ path = '127.0.0.1:1' }]", "must be an absolute path, or abns@name"},
      {"[peers]", "listen", "[{ path = '/a', mode = '888' }]", "octal digits"},
      {"[peers]", "listen", "[{ path = '/a', mode = '1777' }]", "\"000\" to \"777\""},
      {"[peers]", "listen", "[{ path = '/a', mode = 660 }]", "a string of octal digits"},
      {"[peers]", "listen", "[{ path = '/a', group = 'a b' }]", "space or control"},
      {"[peers]", "away-after", "'999ms'", "must be 1s to 1d"},
      {"[peers]", "forget-after", "'9s'", "shorter than away-after"},
      {"[peers]", "learn-timeout", "'11m'", "must be 0s to 10m"},
      {"[peers]", "publish-interval", "'10001ms'", "must be 0s to 10s"},
      {"[peers]", "max-origins", "0", "must be 1 to 65535"},
      {"[peers]", "max-origins", "65536", "must be 1 to 65535"},
      {"[peers]", "max-tables", "0", "must be 1 to 65535"},
      {"[peers]", "max-tables", "-9223372036854775808", "must be 1 to 65535"},
      {"[status]", "table", "'/a'", "write \"a\""},
      {"[spoe]", "max-frame-size", "255", "must be 256 to 16MiB"},
      {"[spoe]", "max-frame-size", "'17m'", "must be 256 to 16MiB"},
      {"[spoe]", "deadline", "0", "must be 1ms to 1m"},
      {"[redis]", "db", "65536", "must be 0 to 65535"},
      {"[redis]", "flush-interval", "0", "must be 1ms to 1m"},
      {"[redis]", "prefix", "''", "is empty"},
      {"[redis]", "prefix", "'a b'", "space or control"},
      {"[redis]", "accept", "['a@b']", "no \"@\""},
      {"[redis]", "address", "'6379'", "the port is missing"},
      {"[redis]", "address", "['a:1', 'b:1']", "needs sentinel"},
      {"[redis]", "user", "'a'", "needs password-file"},
      {"[redis.tls]", "key", "'/a'", "no use without cert"},
      {"[redis.tls]", "cert", "'/a'", "ca: is missing"},
      {"[redis.tls]", "cert", "'a'", "absolute path"},
      {"[peers.tls]", "verify", "'optional'", "is none of"},
      {"[peers.tls]", "verify", "'none'", "cert: is missing"},
      {"[[peer]]\nname = 'a'", "kind", "'Agent'", "did you mean agent?"},
      {"[[peer]]\nname = 'a'", "address", "'a'", "the port is missing"},
      {"[[hook]]\nfile = '/a'", "frontends", "[]", "leave the key out"},
      {"[[hook]]\nfile = '/a'", "frontends", "['a**']", "more than one *"},
      {"[[hook]]\nfile = '/a'", "call-time", "'1m'", "must be 1ms to 10s"},
      {"[[hook]]\nfile = '/a'", "memory", "'1k'", "must be 256KiB to 4GiB"},
      {"[[hook]]\nfile = '/a'", "on-error", "'ignore'", "is none of \"default\", \"allow\", \"deny\""},
      {"[[limit]]\nname = 'a'\ntable = 'b'\ntype = 'gpc0'", "above", "-1", "must be 0 to 4294967295"},
      {"[[limit]]\nname = 'a'\ntable = 'b'\ntype = 'gpc0'", "above", "4294967296", "must be 0 to 4294967295"},
      {"[[limit]]\nname = 'a'\ntable = 'b'\nabove = 1", "type", "'gpc'", "an array has no single value"},
      {"[[limit]]\nname = 'a'\ntable = 'b'\nabove = 1", "type", "'server_key'", "cannot be compared"},
      {"[[limit]]\nname = 'a'\ntable = 'b'\nabove = 1", "type", "'req_rate'", "is no data type"},
      {"[[limit]]\nname = 'a'\ntype = 'gpc0'\nabove = 1", "table", "'/b'", "write \"b\""},
      {"[[table]]\nname = 'a'", "define", "'type ip size 1 store gpc9'", "did you mean gpc0?"},
  };
  for (const Row& row : rows) {
    const std::string text = fmt::format("{}\n{} = {}\n", row.head, row.key, row.value);
    EXPECT_THAT(findings(text), ElementsAre(HasSubstr(row.why))) << text;
  }
  EXPECT_THAT(
      findings("[redis]\ncluster = true\nsentinel = 'a'\ndb = 1\n"),
      ElementsAre(HasSubstr("redis.cluster: true excludes sentinel"), HasSubstr("redis.db: 1 must be 0")));
  for (const char* prefix : {"{sm}", "a{", "a}"}) {
    const std::string keys = fmt::format("[redis]\nprefix = '{}'\n", prefix);
    EXPECT_THAT(findings(keys), IsEmpty()) << prefix;
    EXPECT_THAT(findings(keys + "cluster = true\n"), ElementsAre(HasSubstr("must have no '{' or '}'")))
        << prefix;
  }
}

}  // namespace
}  // namespace stickmesh::config
