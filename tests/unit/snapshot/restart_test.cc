#include "fixture.h"

namespace stickmesh::snapshot {
namespace {

using pipeline::Instance;
using pipeline::Peer;

const TableDefinition kVisits = table_of(
    "/http", {{DataType::kConnCur}, {DataType::kHttpReqCnt}, {DataType::kHttpReqRate, 1, seconds(10)}});

/// An agent that is restarted, with its instances left as they are or not.
class RestartTest : public testing::Test {
 protected:
  void SetUp() override {
    start(setup_at(kWall));
    lb1 = connect("lb1", 10, kStart);
    push(*lb1, "joe", 5, {2, 30, 1000, 4, 8}, kStart);
  }
  void start(pipeline::HubSetup setup) {
    lb1.reset();
    agent = std::make_unique<Agent>(std::move(setup));
  }
  /// |away| later, of which the wall clock saw |wall_away|.
  void restart(
      Duration away, std::optional<Duration> wall_away = {},
      const std::function<void(pipeline::HubSetup&)>& change = [](auto&) {}) {
    const auto file = snapshot_of(*agent, kStart);
    pipeline::HubSetup setup = setup_at(kWall + wall_away.value_or(away).count());
    change(setup);
    start(std::move(setup));
    now = kStart + away;
    counts = restore(file, *agent, now);
  }
  std::unique_ptr<Instance> connect(const std::string& name, std::uint64_t pid, TimePoint when) {
    auto instance = std::make_unique<Instance>(agent->hub, name, pid, when);
    instance->session().select(1, kVisits);
    instance->exchange(when);
    return instance;
  }
  void push(Instance& instance, const std::string& key, std::uint32_t update_id,
            const std::vector<std::uint64_t>& cells, TimePoint when) {
    instance.push(1, kVisits, key, update_id, cells);
    instance.exchange(when);
  }
  const store::Table& table() { return *agent->registry.find("http")->table; }
  std::uint64_t total(DataType type, const std::string& key = "joe") {
    pipeline::TableRecord& record = *agent->registry.find("http");
    const store::EntryId entry = record.table->find(as_bytes(key));
    if (entry == store::kNone) return 0;
    return record.output->totals().number(entry, *record.table->layout().find(type), 0, now);
  }
  const Peer& peer(const char* name) { return agent->peer(name); }
  std::uint32_t generation(const char* name) {
    return agent->registry.origins()[peer(name).origin].generation;
  }

  std::unique_ptr<Agent> agent;
  std::unique_ptr<Instance> lb1;
  TimePoint now = kStart;
  Restoration::Counts counts;
};

TEST_F(RestartTest, TotalsAreThereBeforeAnyInstanceIs) {
  restart(seconds(2));
  EXPECT_EQ(counts.restored, 1U);
  EXPECT_EQ(total(DataType::kHttpReqCnt), 30U);
  EXPECT_EQ(total(DataType::kConnCur), 2U) << "it may be away no longer than `away-after`";
  EXPECT_EQ(table().expires(0), kStart + minutes(10));
  agent->hub.run(now + seconds(9));
  now += seconds(9);
  EXPECT_EQ(total(DataType::kConnCur), 0U);
  EXPECT_EQ(total(DataType::kHttpReqCnt), 30U);
}

TEST_F(RestartTest, RatesGrowOlderByTheTimeAway) {
  restart(seconds(2));
  EXPECT_EQ(table().rate(0, *table().layout().find(DataType::kHttpReqRate), 0).start, kStart - seconds(1));
  restart(seconds(60));
  EXPECT_EQ(table().rate(0, *table().layout().find(DataType::kHttpReqRate), 0).current, 0U);
}

TEST_F(RestartTest, WhatExpiredMeanwhileStaysAway) {
  restart(minutes(10));
  EXPECT_EQ(counts.expired, 1U);
  EXPECT_EQ(table().entries(), 0U);
}

TEST_F(RestartTest, AClockThatWentBackSaysThatNoTimeHasPassed) {
  restart(seconds(5), -minutes(60));
  EXPECT_EQ(table().expires(0), now + minutes(10));
  EXPECT_EQ(table().rate(0, *table().layout().find(DataType::kHttpReqRate), 0).start, now - seconds(1));
}

TEST_F(RestartTest, TheSameProcessGoesOnWithItsCounts) {
  const std::uint32_t before = generation("lb1");
  restart(seconds(2));
  lb1 = connect("lb1", 10, now);
  EXPECT_EQ(generation("lb1"), before);
  EXPECT_EQ(total(DataType::kConnCur), 2U);
  push(*lb1, "joe", 6, {3, 31, 0, 1, 4}, now);
  EXPECT_EQ(total(DataType::kHttpReqCnt), 31U);
  EXPECT_EQ(total(DataType::kConnCur), 3U);
  EXPECT_EQ(table().contributions(), 1U);
}

TEST_F(RestartTest, WhatItSaysNextIsNewerWhateverItsNumber) {
  // A key that it was taught has a number half the circle away from the one of its next change.
  push(*lb1, "joe", 5U | 1U << 31U, {2, 30, 1000, 4, 8}, kStart);
  restart(seconds(2));
  lb1 = connect("lb1", 10, now);
  push(*lb1, "joe", 6, {3, 31, 0, 1, 4}, now);
  EXPECT_EQ(total(DataType::kHttpReqCnt), 31U);
}

TEST_F(RestartTest, AnotherProcessBeginsANewGeneration) {
  const std::uint32_t before = generation("lb1");
  restart(seconds(2));
  lb1 = connect("lb1", 11, now);
  EXPECT_EQ(generation("lb1"), before + 1);
  EXPECT_TRUE(peer("lb1").complete);
  EXPECT_EQ(total(DataType::kConnCur), 0U) << "the connections of the process before are gone";
  push(*lb1, "joe", 1, {1, 31, 0, 1, 4}, now);
  EXPECT_EQ(total(DataType::kHttpReqCnt), 31U);
  EXPECT_EQ(total(DataType::kConnCur), 1U);
}

TEST_F(RestartTest, ASessionThatWeMakeMayBeAnotherProcesss) {
  const std::uint32_t before = generation("lb1");
  restart(seconds(2));
  const auto dialled = agent->hub.dial(agent->peer("lb1"), {"192.0.2.1:1", "192.0.2.1"}, now);
  const std::string_view status = "200\n";
  ASSERT_TRUE(dialled->receive(as_bytes(status), now).has_value());
  EXPECT_EQ(generation("lb1"), before + 1);
  dialled->closed({Reason::kConnectionLost, {}}, now);
}

TEST_F(RestartTest, WhoIsGoneKeepsWhatItCountedUntilItExpires) {
  restart(minutes(9));
  EXPECT_EQ(total(DataType::kHttpReqCnt), 30U);
  now += seconds(61);
  agent->hub.run(now);
  EXPECT_EQ(table().entries(), 0U);
}

TEST_F(RestartTest, AnUnknownPeerIsExpectedUntilItIsForgotten) {
  const auto accept = [](pipeline::HubSetup& setup) {
    setup.peers.clear();
    setup.accept_unknown = true;
    setup.forget_after = minutes(1);
  };
  restart(seconds(20), {}, accept);
  EXPECT_EQ(agent->hub.attendance(now).expected, 1U);
  agent->hub.run(now + seconds(41));
  EXPECT_EQ(agent->hub.attendance(now).expected, 0U);
  EXPECT_EQ(total(DataType::kHttpReqCnt), 30U);
}

TEST_F(RestartTest, APeerThatIsNoLongerConfiguredIsNotExpected) {
  restart(seconds(1), {}, [](pipeline::HubSetup& setup) { setup.peers.erase(setup.peers.begin()); });
  EXPECT_EQ(agent->hub.attendance(now).expected, 2U);
  EXPECT_EQ(total(DataType::kHttpReqCnt), 30U);
}

TEST_F(RestartTest, AnEarlierIncarnationIsNeverOverwritten) {
  const std::string first = agent->registry.origins()[agent->hub.own_origin()].name;
  tell(*agent, first, kVisits, "joe", {1, 1}, {0, 100, 0, 0, 0}, kStart);
  restart(Duration(0));
  const std::string second = agent->registry.origins()[agent->hub.own_origin()].name;
  EXPECT_NE(first, second) << "within one second";
  tell(*agent, second, kVisits, "joe", {1, 1}, {0, 1, 0, 0, 0}, now);
  EXPECT_EQ(total(DataType::kHttpReqCnt), 131U);
  restart(Duration(0));
  EXPECT_EQ(agent->registry.origins().size(), 3U + 3U);
  EXPECT_EQ(total(DataType::kHttpReqCnt), 131U);
}

TEST_F(RestartTest, AFrozenOriginMakesRoomOnceItsCountsHaveExpired) {
  tell(*agent, agent->registry.origins()[agent->hub.own_origin()].name, kVisits, "joe", {1, 1},
       {0, 100, 0, 0, 0}, kStart);
  restart(seconds(2));
  const auto frozen = agent->registry.origins().find("agent-1#1700000000");
  ASSERT_TRUE(frozen.has_value());
  EXPECT_FALSE(agent->registry.origins()[*frozen].known);
  EXPECT_EQ(agent->registry.origins()[*frozen].contributions, 1U);
}

TEST_F(RestartTest, ATableThatIsDeclaredOtherwiseIsLeftOutAlone) {
  tell(*agent, "lb1", table_of("login", {{DataType::kGpc0}}), "amy", {1, 9}, {5}, kStart);
  const auto file = snapshot_of(*agent, kStart);
  start(setup_at(kWall));
  TableDefinition declared = kVisits;
  declared.name = "http";
  declared.key_size = 65;
  agent->registry.declare(declared, 0, now);
  counts = restore(file, *agent, now);
  EXPECT_EQ(counts.left_out, 1U);
  EXPECT_EQ(counts.restored, 1U);
  EXPECT_EQ(table().entries(), 0U);
  EXPECT_EQ(agent->registry.find("login")->table->entries(), 1U);
}

TEST_F(RestartTest, ATableThatARuleTreatsOtherwiseIsLeftOut) {
  const auto file = snapshot_of(*agent, kStart);
  Agent replicates(setup_at(kWall), {}, {pipeline::Pattern("http")});
  EXPECT_EQ(restore(file, replicates, now).left_out, 1U);
  Agent publishes(setup_at(kWall), {{pipeline::Pattern("x"), pipeline::Pattern("http")}});
  EXPECT_EQ(restore(file, publishes, now).left_out, 1U);
  EXPECT_TRUE(publishes.registry.tables().empty());
}

TEST_F(RestartTest, OriginsWithoutAPlaceAreLeftOut) {
  for (int n = 0; n < 14; ++n)
    tell(*agent, fmt::format("old{}", n % 10), kVisits, "joe", {1, 1}, {0, 1, 0, 0, 0}, kStart);
  restart(seconds(1), {}, [](pipeline::HubSetup& setup) {
    for (int n = 0; n < 8; ++n)
      setup.peers.push_back({fmt::format("new{}", n), pipeline::PeerKind::kHaproxy, {}, {}, 1});
  });
  EXPECT_EQ(counts.restored + counts.left_out, 11U);
  EXPECT_EQ(counts.left_out, 6U) << "12 of 16 places are taken";
}

TEST_F(RestartTest, MemoryThatIsTooSmallIsSaid) {
  for (int n = 0; n < 30'000; ++n) {
    tell(*agent, "lb1", kVisits, fmt::format("user{}", n), {1, 9}, {0, 1, 0, 0, 0}, kStart);
  }
  const auto file = snapshot_of(*agent, kStart);
  pipeline::Rules rules({{pipeline::Pattern("*"), pipeline::Pattern("*.total")}}, {"stickmesh", "limits"});
  pipeline::Registry registry(rules, std::size_t{1} << 20U, 16, 42);
  ErrorLog errors;
  pipeline::Hub hub(setup_at(kWall), registry, errors);
  Restoration restoration(hub, now);
  ASSERT_TRUE(decode(file, restoration).has_value());
  restoration.finish();
  EXPECT_LT(registry.find("http")->table->entries(), 30'000U);
  EXPECT_EQ(errors.count(Reason::kNoMemory), 1U);
  EXPECT_NE(errors.recent().back().detail.find("max-memory"), std::string::npos);
}

TEST_F(RestartTest, TheFirstInstanceThatDefinesTheTableAgainSaysHowLongEntriesLive) {
  restart(seconds(1));
  TableDefinition changed = kVisits;
  changed.expire = minutes(1);
  agent->registry.define(peer("lb2").origin, changed, now);
  EXPECT_EQ(table().definition().expire, minutes(1));
  EXPECT_EQ(table().expires(0), now + minutes(1));
  agent->registry.define(peer("lb3").origin, kVisits, now);
  EXPECT_EQ(table().definition().expire, minutes(1));
  agent->hub.run(now + seconds(61));
  EXPECT_EQ(table().entries(), 0U);
}

TEST_F(RestartTest, OfAReplicatedTableTheSameProcesssOldWritesStayOld) {
  const TableDefinition sessions = table_of("/sessions", {{DataType::kGpt0}});
  const auto make = [] {
    return std::make_unique<Agent>(setup_at(kWall), std::vector<pipeline::AggregateRule>{},
                                   std::vector<pipeline::Pattern>{pipeline::Pattern("sessions")});
  };
  const auto write = [&](Instance& instance, std::uint32_t update_id, std::uint64_t value) {
    instance.push(1, sessions, "joe", update_id, {value});
    instance.exchange(now);
  };
  lb1.reset();
  agent = make();
  {
    Instance first(agent->hub, "lb1", 10, now);
    Instance second(agent->hub, "lb2", 20, now);
    write(first, 5, 1);
    write(second, 9, 2);  // lb1 never hears of it
    first.cut(now);
    second.cut(now);
  }
  const auto file = snapshot_of(*agent, now);
  agent = make();
  restore(file, *agent, now);
  Instance again(agent->hub, "lb1", 10, now);
  write(again, 5, 1);
  const store::Table& table = *agent->registry.find("sessions")->table;
  EXPECT_EQ(table.number(0, table.layout().columns()[0], 0), 2U);
  again.exchange(now + milliseconds(50));
  ASSERT_FALSE(again.received.empty());
  EXPECT_EQ(again.received.back().cells[0], 2U);
  write(again, 6, 3);
  EXPECT_EQ(table.number(0, table.layout().columns()[0], 0), 3U);
}

}  // namespace
}  // namespace stickmesh::snapshot
