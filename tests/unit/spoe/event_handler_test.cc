#include "tests/unit/spoe/event_fixture.h"

namespace stickmesh::spoe {
namespace {

using Type = stickmesh::DataType;
using ::testing::HasSubstr;

constexpr Duration kPeriod{10'000};

NamedValues of(std::string_view key, NamedValues more = {}, std::string_view table = "http") {
  NamedValues arguments = {{"table", Value::string(table)}, {"key", Value::string(key)}};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

const NamedValues kOnce = {{"http_req_cnt", Value::int64(1)}, {"http_req_rate", Value::int64(1)}};

class TrackTest : public EventHandlerTest {
 protected:
  TrackTest() { declare("http", {{Type::kHttpReqCnt, 1, {}}, {Type::kHttpReqRate, 1, kPeriod}}); }
};

TEST_F(TrackTest, CountsAndAnswersTheTotalsWithTheEventItself) {
  EXPECT_EQ(say("track", of("joe", kOnce)),
            " 2.found=false 2.ready=false 2.http_req_cnt=1 2.http_req_rate=1");
  EXPECT_EQ(say("track", of("joe", kOnce)), " 2.found=true 2.ready=false 2.http_req_cnt=2 2.http_req_rate=2");
  EXPECT_EQ(say("track", of("amy", {{"http_req_cnt", Value::int64(5)}})),
            " 2.found=false 2.ready=false 2.http_req_cnt=5");
  EXPECT_EQ(handler_.counters().tracked, 3U);
}

TEST_F(TrackTest, EntersTheSameTotalsAsWhatInstancesCount) {
  pipeline::Instance instance(agent_.hub, "lb1", 7, now_);
  const TableDefinition http = pipeline::counter_table("/http");
  instance.push(1, http, "joe", 1, {40});
  instance.exchange(now_);
  EXPECT_EQ(say("track", of("joe", {{"http_req_cnt", Value::int64(2)}})),
            " 2.found=true 2.ready=true 2.http_req_cnt=42");
  TableDefinition total = http;
  total.name = "/http.total";
  instance.push(2, total, "else", 1, {0});
  instance.exchange(now_);
  now_ += Duration(100);
  instance.exchange(now_);
  ASSERT_FALSE(instance.received.empty());
  EXPECT_EQ(instance.received.back().key, "joe");
  EXPECT_EQ(instance.received.back().cells, std::vector<std::uint64_t>{42});
}

TEST_F(TrackTest, RatesGoOnAsHaproxysDo) {
  const auto rate = [&](std::int64_t events) {
    return say("track", of("joe", {{"http_req_rate", Value::int64(events)}}));
  };
  EXPECT_THAT(rate(10), HasSubstr("http_req_rate=10"));
  now_ += kPeriod / 2;
  EXPECT_THAT(rate(10), HasSubstr("http_req_rate=20"));
  now_ += kPeriod / 2;
  EXPECT_THAT(rate(5), HasSubstr("http_req_rate=25")) << "a new period: all of the last one counts still";
  now_ += kPeriod / 2;
  EXPECT_THAT(rate(1), HasSubstr("http_req_rate=16")) << "half of 20, and 6";
  now_ += kPeriod;
  EXPECT_THAT(rate(0), HasSubstr("http_req_rate=3")) << "half of 6";
  now_ += 3 * kPeriod;
  EXPECT_THAT(rate(1), HasSubstr("http_req_rate=1"));
}

TEST_F(TrackTest, CountersStopAtTheirMaximum) {
  say("track", of("joe", {{"http_req_cnt", Value::int64(0xffff'fff0)}}));
  EXPECT_THAT(say("track", of("joe", {{"http_req_cnt", Value::int64(0x7fff'ffff'ffff'ffff)}})),
              HasSubstr("http_req_cnt=4294967295"));
}

TEST_F(TrackTest, AMissingKeyIsNoErrorAndCountsNothing) {
  NamedValues arguments = of("", kOnce);
  arguments[1].second = Value::null();
  EXPECT_EQ(say("track", arguments), " 2.found=false 2.ready=false");
  EXPECT_EQ(agent_.registry.find("http")->table->entries(), 0U);
  EXPECT_EQ(agent_.errors.recent().size(), 0U);
}

TEST_F(TrackTest, AMissingValueCountsNothingAndIsAnsweredAllTheSame) {
  const NamedValues nothing = {{"http_req_cnt", Value::null()}};
  EXPECT_EQ(say("track", of("joe", nothing)), " 2.found=false 2.ready=false");
  EXPECT_EQ(agent_.registry.find("http")->table->entries(), 0U);
  say("track", of("joe", kOnce));
  EXPECT_EQ(say("track", of("joe", nothing)), " 2.found=true 2.ready=false 2.http_req_cnt=1");
}

TEST_F(TrackTest, UsesOfOneEventAreApart) {
  const Event event = Event()
                          .message("track-api", of("joe", kOnce))
                          .message("track-per-host", of("host", {{"http_req_cnt", Value::int64(7)}}))
                          .message("lookup", of("joe"));
  EXPECT_EQ(say(event),
            " 2.api.found=false 2.api.ready=false 2.api.http_req_cnt=1 2.api.http_req_rate=1"
            " 2.per_host.found=false 2.per_host.ready=false 2.per_host.http_req_cnt=7"
            " 2.found=true 2.ready=false 2.http_req_cnt=1 2.http_req_rate=1");
}

TEST_F(TrackTest, AWrongMessageSetsNothingAndKeepsNoOtherFromCounting) {
  const Event event =
      Event()
          .message("track-a", of("joe", {{"http_req_cnt", Value::int64(1)}, {"gpc0", Value::int64(1)}}))
          .message("track-b", of("joe", {{"http_req_cnt", Value::int64(1)}}));
  EXPECT_EQ(say(event), " 2.b.found=false 2.b.ready=false 2.b.http_req_cnt=1");
  EXPECT_EQ(last_error(), "SPOE message track-a: gpc0: table 'http' stores no such type");
  EXPECT_EQ(agent_.errors.count(Reason::kBadMessage), 1U);
  EXPECT_EQ(handler_.counters().refused, 1U);
}

TEST_F(TrackTest, WhatIsWrongIsSaid) {
  declare("ips", {{Type::kGpt0, 1, {}}, {Type::kConnCur, 1, {}}, {Type::kGpc0, 1, {}}}, KeyType::kIpv4, 4);
  const auto problem = [&](std::string_view name, const NamedValues& arguments) {
    EXPECT_EQ(say(name, arguments), "");
    return last_error().substr(("SPOE message " + std::string(name) + ": ").size());
  };
  EXPECT_EQ(problem("track", {}), "the first argument is not 'table'");
  EXPECT_EQ(problem("track", {{"key", Value::string("joe")}}), "the first argument is not 'table'");
  EXPECT_EQ(problem("track", {{"table", Value::null()}}), "table: it is no string such as str(http)");
  EXPECT_EQ(problem("track", {{"table", Value::string("http")}}), "the second argument is not 'key'");
  EXPECT_THAT(problem("track", of("joe", kOnce, "none")),
              HasSubstr("table: there is no table 'none': no instance"));
  EXPECT_EQ(problem("track", of("joe")), "it names no data type");
  EXPECT_EQ(problem("lookup", of("joe", kOnce)), "http_req_cnt: lookup takes a table and a key");
  EXPECT_EQ(problem("track", of("joe", kOnce, "http.total")),
            "table: 'http.total' is a total, which is only looked up: 'http' is counted");
  EXPECT_EQ(problem("track", of("joe", {{"http_req_cnt", Value::string("1")}})),
            "http_req_cnt: it is no number");
  EXPECT_EQ(problem("track", of("joe", {{"http_req_cnt", Value::int64(-1)}})), "http_req_cnt: it is below 0");
  EXPECT_EQ(
      problem("track", of("joe", {{"http_req_cnt", Value::int64(1)}, {"http_req_cnt", Value::int64(1)}})),
      "http_req_cnt: it is named twice");
  EXPECT_EQ(problem("track", of("joe", {{"gpc0", Value::int64(1)}}, "ips")),
            "key: the keys of table 'ips' are of type ip: it is no IPv4 address");
  EXPECT_EQ(problem("track", of("1.2.3.4", {{"gpt0", Value::int64(1)}}, "ips")),
            "gpt0: it is no counter: use set");
  EXPECT_EQ(problem("track", of("1.2.3.4", {{"conn_cur", Value::int64(1)}}, "ips")),
            "conn_cur: events cannot tell how many connections are open");
  EXPECT_EQ(problem("set", of("1.2.3.4", {{"gpt0", Value::int64(0x1'0000'0000)}}, "ips")),
            "gpt0: it is outside what the type can hold");
  EXPECT_EQ(agent_.registry.find("http")->table->entries() + agent_.registry.find("ips")->table->entries(),
            0U);
}

TEST_F(TrackTest, AnUnknownKindIsCounted) {
  EXPECT_EQ(say("login", of("joe")), "");
  EXPECT_EQ(last_error(),
            "SPOE message login: nothing handles it: it is no track, lookup or set, and no hook's");
  EXPECT_EQ(handler_.counters().unknown, 1U);
  EXPECT_EQ(handler_.counters().refused, 0U);
  EXPECT_EQ(say(Event()), "");
}

TEST_F(TrackTest, AReplacedProcessCountsNothing) {
  handler_.set_replaced(true);
  EXPECT_THAT(say("track", of("joe", kOnce)), HasSubstr("error: overload"));
  EXPECT_EQ(agent_.registry.find("http")->table->entries(), 0U);
}

TEST_F(TrackTest, WhatExpiredOrWasClearedIsUnknown) {
  say("track", of("joe", kOnce));
  now_ += std::chrono::minutes(11);
  EXPECT_EQ(say("lookup", of("joe")), " 2.found=false 2.ready=false");
  say("track", of("amy", kOnce));
  pipeline::TableRecord& record = *agent_.registry.find("http");
  agent_.hub.clear(record, record.table->find(as_bytes("amy")), now_);
  EXPECT_EQ(say("track", of("amy", {{"http_req_cnt", Value::int64(1)}})),
            " 2.found=false 2.ready=false 2.http_req_cnt=1");
}

TEST_F(TrackTest, TypesThatAnInstanceAddsLaterAreKnown) {
  say("track", of("joe", kOnce));
  TableDefinition more = pipeline::counter_table("/http");
  more.types = {{Type::kGpc0, 1, {}}, {Type::kHttpReqCnt, 1, {}}};
  pipeline::Instance instance(agent_.hub, "lb1", 7, now_);
  instance.push(1, more, "joe", 1, {3, 40});
  instance.exchange(now_);
  EXPECT_EQ(say("track", of("joe", {{"gpc0", Value::int64(1)}, {"http_req_cnt", Value::int64(1)}})),
            " 2.found=true 2.ready=true 2.gpc0=4 2.http_req_cnt=42");
}

TEST_F(TrackTest, WhatOneKeyStoresStaysStoredForOthers) {
  say("track", of("joe", kOnce));
  say("track", of("amy", {{"http_req_cnt", Value::int64(1)}}));
  const store::Table& table = *agent_.registry.find("http")->table;
  EXPECT_EQ(table.copied_definition(agent_.hub.own_origin()).types.size(), 2U);
}

class SetTest : public EventHandlerTest {
 protected:
  SetTest() {
    declare("bans", {{Type::kServerId, 1, {}},
                     {Type::kBytesInCnt, 1, {}},
                     {Type::kServerKey, 1, {}},
                     {Type::kGpt, 2, {}},
                     {Type::kGpc, 2, {}},
                     {Type::kGpcRate, 2, kPeriod}});
  }
  static NamedValues ban(NamedValues more = {}) { return of("joe", std::move(more), "bans"); }
};

TEST_F(SetTest, WritesAndAnswersWhatItNames) {
  EXPECT_EQ(say("set", ban({{"gpt1", Value::int64(7)}, {"server_key", Value::string("web1")}})),
            " 2.found=false 2.ready=false 2.gpt1=7 2.server_key=\"web1\"");
  EXPECT_EQ(say("set-x", ban({{"gpt0", Value::boolean(true)}, {"server_id", Value::int64(-1)}})),
            " 2.x.found=true 2.x.ready=false 2.x.gpt0=1 2.x.server_id=-1");
  EXPECT_EQ(say("set",
                ban({{"bytes_in_cnt", Value::int64(0x7fff'ffff'ffff'ffff)}, {"gpc1_rate", Value::int64(9)}})),
            " 2.found=true 2.ready=false 2.bytes_in_cnt=9223372036854775807 2.gpc1_rate=9");
  EXPECT_EQ(say("track", ban({{"bytes_in_cnt", Value::int64(5)}, {"gpc0", Value::int64(3)}})),
            " 2.found=true 2.ready=false 2.bytes_in_cnt=9223372036854775807 2.gpc0=3");
  EXPECT_EQ(
      say("lookup", ban()),
      " 2.found=true 2.ready=false 2.server_id=-1 2.bytes_in_cnt=9223372036854775807 2.server_key=\"web1\""
      " 2.gpt0=1 2.gpt1=7 2.gpc0=3 2.gpc1=0 2.gpc0_rate=0 2.gpc1_rate=9");
}

TEST_F(SetTest, ATextThatNobodyHasIsNoVariable) {
  say("set", ban({{"server_key", Value::string("web1")}}));
  EXPECT_EQ(say("set", ban({{"server_key", Value::string("")}})),
            " 2.found=true 2.ready=false 2.server_key unset");
  EXPECT_EQ(say("set", ban({{"server_key", Value::string(std::string(256, 'x'))}})), "");
  EXPECT_EQ(last_error(), "SPOE message set: server_key: it is longer than 255 bytes");
  say("set", ban({{"server_key", Value::int64(3)}}));
  EXPECT_EQ(last_error(), "SPOE message set: server_key: it is no string");
}

TEST_F(SetTest, ATotalsNameIsLookedUp) {
  say("track", ban({{"gpc0", Value::int64(3)}}));
  EXPECT_THAT(say("lookup", of("joe", {}, "bans.total")),
              HasSubstr(" 2.found=true 2.ready=false 2.server_id=0"));
  EXPECT_THAT(say("lookup", of("joe", {}, "/bans.total")), HasSubstr(" 2.gpc0=3"));
}

TEST(ReplicatedEventTest, TheOnlyContributionIsWritten) {
  pipeline::Agent agent(pipeline::Agent::default_setup(), {}, {pipeline::Pattern("sessions")});
  TableDefinition definition = pipeline::counter_table("sessions");
  definition.types = {{Type::kGpt0, 1, {}}, {Type::kGpc0, 1, {}}};
  agent.registry.declare(definition, 0, pipeline::kStart);
  pipeline::Instance instance(agent.hub, "lb1", 7, pipeline::kStart);
  TableDefinition announced = definition;
  announced.name = "/sessions";
  instance.push(1, announced, "joe", 1, {5, 6});
  instance.exchange(pipeline::kStart);
  instance.received.clear();

  EventHandler handler(agent.hub);
  Buffer out;
  AckWriter ack(out, 1, 1, 16380);
  Answer answer(ack);
  const Event event = Event().message("track", of("joe", {{"gpc0", Value::int64(1)}}, "sessions"));
  ASSERT_TRUE(handler.notified(MessageReader(event.bytes()), answer, pipeline::kStart));
  ack.finish();
  EXPECT_EQ(describe_actions(parse_frame(out.pending(), 1 << 20).payload),
            " 2.found=true 2.ready=true 2.gpc0=7");
  instance.exchange(pipeline::kStart + Duration(100));
  ASSERT_FALSE(instance.received.empty());
  EXPECT_EQ(instance.received.back().cells, (std::vector<std::uint64_t>{5, 7}));
}

}  // namespace
}  // namespace stickmesh::spoe
