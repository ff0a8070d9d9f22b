#include "agent/pipeline/succession.h"

#include "fixture.h"
#include "tests/unit/sim/random.h"

namespace stickmesh::snapshot {
namespace {

using pipeline::LearningLink;
using pipeline::TeachingLink;

/// Two processes of one agent, the second taught by the first.
struct SuccessionTest : testing::Test {
  explicit SuccessionTest(std::vector<pipeline::Pattern> replicated = {pipeline::Pattern("sessions")})
      : after(setup_at(kWall + 60'000), aggregates(), std::move(replicated)) {
    hand_on_state();
  }

  void hand_on_state() {
    Encoder encoder(before.hub, Encoder::Scope::kWithoutContributions);
    const Bytes state = encoder.next(1, now);
    ASSERT_TRUE(encoder.done());
    restore(state, after, now);
  }
  /// Carries what either has to say, in pieces of at most |piece| bytes; false when nothing moved.
  bool carry(std::size_t piece = std::size_t{1} << 20U) {
    bool moved = false;
    for (auto [from, to] : {std::pair<Session*, Session*>(&teaching, &learning), {&learning, &teaching}}) {
      const std::vector<std::byte> bytes(from->pending().begin(), from->pending().end());
      const Bytes part = Bytes(bytes).first(std::min(bytes.size(), piece));
      if (part.empty()) continue;
      moved = true;
      from->sent(part.size(), now);
      EXPECT_TRUE(to->receive(part, now).has_value());
    }
    return moved;
  }
  void teach() {
    before.hub.run(now);
    do {
      EXPECT_TRUE(teaching.run(now).has_value());
    } while (carry() || teaching.busy());
  }
  void finish() {
    do {
      EXPECT_TRUE(teaching.run(now, /*freeze=*/true).has_value());
    } while (carry() || teaching.busy());
    EXPECT_TRUE(teaching.all_sent());
    EXPECT_EQ(learning.size(), teaching.size());
    hand_on_state();
  }

  /// |writer| has changed an entry of a replicated table.
  void write(std::string_view key, store::OriginId writer) {
    const TableDefinition definition = table_of("sessions", {{DataType::kGpt0}});
    pipeline::TableRecord& record = before.registry.define(before.peer("lb1").origin, definition, now);
    const std::uint64_t cells[] = {7};
    record.table->apply(store::make_plan(definition, record.table->layout()),
                        {before.hub.own_origin(), before.registry.next_change(), as_bytes(key), cells, {}},
                        now);
    record.table->set_writer(record.table->first(record.table->find(as_bytes(key))), writer);
  }

  static std::vector<pipeline::AggregateRule> aggregates() {
    return {{pipeline::Pattern("*"), pipeline::Pattern("*.total")}};
  }
  TimePoint now = kStart;
  Agent before{setup_at(kWall), aggregates(), {pipeline::Pattern("sessions")}};
  Agent after;
  TeachingLink teaching{before.hub, now};
  bool learned = false;
  LearningLink learning{after.hub, [this] { learned = true; }, [] {}, now};
};

TEST_F(SuccessionTest, EveryTypeGoesOver) {
  const TableDefinition definition = every_type("/http");
  tell(before, "lb1", definition, "joe", {3, 7}, cells_of(definition, false), now, "web1");
  tell(before, "lb2", definition, "joe", {1, 0xffffffff}, cells_of(definition, true), now, "web2");
  tell(before, "lb9", table_of("http", {{DataType::kGpc0}}), "amy", {1, 0}, {4}, now);
  now += seconds(5);
  teach();
  EXPECT_TRUE(learned);
  finish();
  EXPECT_EQ(contents(after, now), contents(before, now));
  EXPECT_EQ(after.registry.lamport(), before.registry.lamport());
}

TEST_F(SuccessionTest, TheSameIncarnationCountsOn) {
  const pipeline::TableRecord& record =
      before.registry.define(before.hub.own_origin(), table_of("login", {{DataType::kGpc0}}), now);
  before.hub.next_version(record);
  teach();
  finish();
  EXPECT_EQ(after.registry.origins()[after.hub.own_origin()].name,
            before.registry.origins()[before.hub.own_origin()].name);
  EXPECT_EQ(after.hub.next_version(record), before.hub.next_version(record));
}

TEST_F(SuccessionTest, WhatIsKnownOfAnInstanceGoesOver) {
  pipeline::Peer& peer = before.peer("lb1");
  peer.pid = 77;
  peer.process = before.registry.origins()[peer.origin].process = std::uint64_t{1} << 63U | 5;
  peer.generation = before.registry.origins()[peer.origin].generation = 3;
  peer.complete = true;
  peer.last_seen = now - seconds(2);
  before.registry.define(peer.origin, table_of("http", {{DataType::kGpc0}}), now);
  peer.live_ids["http"] = 12;
  teach();
  finish();
  const pipeline::Peer& known = after.peer("lb1");
  EXPECT_EQ(known.pid, 77U);
  EXPECT_EQ(known.process, peer.process);
  EXPECT_EQ(known.generation, 3U);
  EXPECT_TRUE(known.complete);
  EXPECT_FALSE(known.recalled) << "its numbers go on: it has lost nothing, and neither have we";
  EXPECT_EQ(known.live_ids.at("http"), 12U);
  EXPECT_EQ(known.last_seen, peer.last_seen);
}

TEST_F(SuccessionTest, WritersOfReplicatedEntriesGoOver) {
  write("joe", before.peer("lb2").origin);
  write("amy", store::kNobody);
  teach();
  write("joe", before.peer("lb3").origin);
  teach();
  finish();
  EXPECT_EQ(contents(after, now), contents(before, now));
  EXPECT_EQ(after.registry.next_change(), before.registry.next_change());
}

TEST_F(SuccessionTest, WhoOnlyWasTaughtHasNoVoteOnADefinition) {
  write("joe", before.peer("lb2").origin);
  ASSERT_FALSE(before.registry.find("sessions")->definitions.contains(before.hub.own_origin()));
  teach();
  finish();
  const auto& definitions = after.registry.find("sessions")->definitions;
  EXPECT_FALSE(definitions.contains(after.hub.own_origin()));
  EXPECT_TRUE(definitions.contains(after.peer("lb1").origin));
}

TEST_F(SuccessionTest, OneThatIsDefinedAnewBeforeTheLessonEndsItToo) {
  const store::OriginId lb1 = before.peer("lb1").origin;
  before.registry.origins()[lb1].present = true;
  tell(before, "lb1", table_of("http", {{DataType::kGpc0}}), "joe", {1, 1}, {5}, now);
  TeachingLink second(before.hub, now);
  EXPECT_TRUE(second.run(now).has_value());
  TableDefinition other = table_of("http", {{DataType::kGpc0}});
  other.key_size = 65;
  before.registry.define(lb1, other, now);
  EXPECT_FALSE(second.run(now).has_value());
}

TEST_F(SuccessionTest, ATableThatIsDefinedAnewEndsIt) {
  const store::OriginId lb1 = before.peer("lb1").origin;
  before.peer("lb1").last_seen = now;
  before.registry.origins()[lb1].present = true;
  tell(before, "lb1", table_of("http", {{DataType::kGpc0}}), "joe", {1, 1}, {5}, now);
  teach();
  TableDefinition other = table_of("http", {{DataType::kGpc0}});
  other.key_size = 65;
  before.registry.define(lb1, other, now);
  const Result<void> taught = teaching.run(now);
  ASSERT_FALSE(taught.has_value());
  EXPECT_EQ(taught.error().reason, Reason::kDefinitionMismatch);
}

TEST_F(SuccessionTest, ChangesAreKeptOnlyForAsLongAsSomebodyWaits) {
  tell(before, "lb1", table_of("http", {{DataType::kGpc0}}), "joe", {1, 1}, {5}, now);
  const pipeline::TableRecord& record = *before.registry.find("http");
  EXPECT_NE(record.relay, nullptr);
  { const TeachingLink second(before.hub, now); }
  EXPECT_NE(record.relay, nullptr);
  before.hub.keep_changes(false);
  EXPECT_EQ(record.relay, nullptr);
  before.hub.keep_changes(true);
}

TEST_F(SuccessionTest, AnotherAgentTeachesNothing) {
  pipeline::HubSetup setup = setup_at(kWall);
  setup.agent_name = "agent-2";
  Agent other{std::move(setup)};
  TeachingLink stranger(other.hub, now);
  const std::vector<std::byte> hello(stranger.pending().begin(), stranger.pending().end());
  EXPECT_FALSE(learning.receive(hello, now).has_value());
}

/// The new process's config does not replicate the table any more.
struct OtherRulesTest : SuccessionTest {
  OtherRulesTest() : SuccessionTest(std::vector<pipeline::Pattern>{}) {}
};

TEST_F(OtherRulesTest, LeaveWhatDoesNotFitOut) {
  write("joe", before.peer("lb2").origin);
  tell(before, "lb1", table_of("http", {{DataType::kGpc0}}), "joe", {1, 1}, {5}, now);
  teach();
  finish();
  EXPECT_EQ(after.registry.find("sessions"), nullptr);
  EXPECT_EQ(after.registry.find("http")->table->entries(), 1U);
}

// Whatever happens while it is taught, at the end the new process holds what the old one holds.
struct RandomSuccessionTest : SuccessionTest, testing::WithParamInterface<std::uint64_t> {
  RandomSuccessionTest() : random(GetParam()) {}

  void change() {
    const std::string origin = "lb" + std::to_string(random.between(1, 4));
    const std::string key = "key" + std::to_string(random.between(1, 30));
    // The first that lb4 says gives the table another layout.
    const std::vector<StoredType> types = origin == "lb4"
                                              ? std::vector<StoredType>{{DataType::kConnCnt}}
                                              : std::vector<StoredType>{{DataType::kGpt0}, {DataType::kGpc0}};
    const TableDefinition definition = table_of(random.one_in(3) ? "tcp" : "http", types, seconds(20));
    pipeline::TableRecord* record = before.registry.find(definition.name);
    const store::EntryId entry = record == nullptr ? store::kNone : record->table->find(as_bytes(key));
    const auto owes = [this](store::OriginId) { return random.one_in(2); };
    switch (random.between(1, 8)) {
      case 1:
        if (entry != store::kNone) record->table->clear(entry, now, owes);
        return;
      case 2:
        for (auto id = entry == store::kNone ? store::kNone : record->table->first(entry); id != store::kNone;
             id = record->table->following(id)) {
          record->table->settle(id);
        }
        return;
      case 3:
        return adopt(origin, definition, key);
      case 4:
        return keep_larger(origin, definition, key);
      default:
        tell(before, origin, definition, key, {random.between(1, 2), random.between(1, 1000)},
             std::vector<std::uint64_t>(definition.types.size(), random.between(0, 50)), now);
    }
  }
  /// A process that is about to be taught says smaller counters, which stay, and other values.
  void keep_larger(const std::string& origin, const TableDefinition& definition, const std::string& key) {
    const store::OriginId id = *before.registry.origins().intern(origin);
    pipeline::TableRecord& record = before.registry.define(id, definition, now);
    const std::vector<std::uint64_t> cells(definition.types.size(), random.between(0, 9));
    store::Change change{id, {3, random.between(1, 1000)}, as_bytes(key), cells, {}};
    change.keep_larger = true;
    record.table->apply(store::make_plan(definition, record.table->layout()), change, now);
  }
  void adopt(const std::string& origin, const TableDefinition& definition, const std::string& key) {
    const store::OriginId id = *before.registry.origins().intern(origin);
    pipeline::TableRecord& record = before.registry.define(id, definition, now);
    const std::vector<std::uint64_t> cells(definition.types.size(), random.between(0, 50));
    const std::vector<std::uint64_t> changes(cells.size(), random.between(0, 99));
    store::Copy copy;
    copy.origin = id;
    copy.version = {random.between(1, 3), random.between(1, 1000)};
    copy.key = as_bytes(key);
    copy.cells = cells;
    copy.changes = changes;
    copy.expires = now + seconds(random.between(15, 20));
    record.table->adopt(store::make_plan(definition, record.table->layout()), copy, now);
  }

  /// What was on its way lives that much longer.
  static std::string without_lives(const std::vector<std::string>& lines) {
    std::string text;
    for (std::string line : lines) {
      const std::size_t life = line.find(" left ");
      line.erase(life, line.find(" cells ") - life);
      text += line + '\n';
    }
    return text;
  }

  sim::Random random;
};

TEST_P(RandomSuccessionTest, NothingIsMissed) {
  for (int step = 0; step < 60; ++step) change();
  for (int step = 0; step < 400; ++step) {
    now += milliseconds(random.between(0, 30));
    if (!random.one_in(3)) change();
    if (random.one_in(2)) {
      before.hub.run(now);
      ASSERT_TRUE(teaching.run(now).has_value());
    }
    carry(random.between(1, 400));
  }
  teach();
  finish();
  for (const auto& [name, record] : after.registry.tables()) record.table->expire(now, 10'000);
  for (const auto& [name, record] : before.registry.tables()) record.table->expire(now, 10'000);
  EXPECT_EQ(without_lives(contents(after, now)), without_lives(contents(before, now)));
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomSuccessionTest, testing::Range<std::uint64_t>(1, 41));

}  // namespace
}  // namespace stickmesh::snapshot
