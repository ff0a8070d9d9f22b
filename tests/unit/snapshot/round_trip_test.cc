#include "fixture.h"

namespace stickmesh::snapshot {
namespace {

struct RoundTripTest : testing::Test {
  Agent before{setup_at(kWall),
               {{pipeline::Pattern("*"), pipeline::Pattern("*.total")}},
               {pipeline::Pattern("sessions")}};
  Agent after{setup_at(kWall),
              {{pipeline::Pattern("*"), pipeline::Pattern("*.total")}},
              {pipeline::Pattern("sessions")}};
};

TEST_F(RoundTripTest, EveryTypeComesBackAsItWas) {
  const TableDefinition definition = every_type("/http");
  tell(before, "lb1", definition, "joe", {3, 7}, cells_of(definition, false), kStart, "web1");
  tell(before, "lb2", definition, "joe", {1, 0xffffffff}, cells_of(definition, true), kStart, "web2");
  tell(before, "lb2", definition, "amy", {1, 0}, cells_of(definition, false), kStart + seconds(3), "web1");
  const TimePoint now = kStart + seconds(5);
  EXPECT_EQ(restore(snapshot_of(before, now), after, now).restored, 3U);
  EXPECT_EQ(contents(after, now), contents(before, now));
  EXPECT_EQ(after.registry.lamport(), before.registry.lamport());
}

TEST_F(RoundTripTest, KeysOfEveryTypeAndTablesWithoutExpire) {
  for (const auto& [name, type, size, key] :
       {std::tuple{"a", KeyType::kInteger, 4U, std::string("\0\0\1\2", 4)},
        std::tuple{"b", KeyType::kIpv4, 4U, std::string("\xff\0\0\0", 4)},
        std::tuple{"c", KeyType::kIpv6, 16U, std::string(16, '\0')},
        std::tuple{"d", KeyType::kString, 8192U, std::string(8191, 'x')},
        std::tuple{"e", KeyType::kBinary, 20U, std::string(20, '\0')}}) {
    TableDefinition definition = table_of(name, {{DataType::kGpc0}}, Duration(0));
    definition.key_type = type;
    definition.key_size = size;
    EXPECT_EQ(tell(before, "lb1", definition, key, {1, 1}, {5}, kStart), store::Applied::kChanged);
  }
  EXPECT_EQ(restore(snapshot_of(before, kStart), after, kStart + minutes(100)).restored, 5U);
  EXPECT_EQ(contents(after, kStart), contents(before, kStart));
}

TEST_F(RoundTripTest, OriginsMayStoreDifferentTypes) {
  const TableDefinition few = table_of("http", {{DataType::kGpc0}});
  const TableDefinition more = table_of("http", {{DataType::kGpt0}, {DataType::kGpc0}, {DataType::kConnCnt}});
  tell(before, "lb1", few, "joe", {1, 1}, {5}, kStart);
  tell(before, "lb2", more, "joe", {1, 1}, {6, 7, 8}, kStart);
  restore(snapshot_of(before, kStart), after, kStart);
  EXPECT_EQ(contents(after, kStart), contents(before, kStart));
  const auto& definitions = after.registry.find("http")->definitions;
  EXPECT_EQ(definitions.at(after.peer("lb1").origin), few);
  EXPECT_EQ(definitions.at(after.peer("lb2").origin), more);
}

TEST_F(RoundTripTest, AClearedKeyAndWhoIsOwedItComeBack) {
  const TableDefinition definition = table_of("http", {{DataType::kGpc0}});
  tell(before, "lb1", definition, "joe", {1, 1}, {5}, kStart);
  tell(before, "lb2", definition, "joe", {1, 1}, {6}, kStart);
  store::Table& table = *before.registry.find("http")->table;
  const store::OriginId lb1 = before.peer("lb1").origin;
  table.clear(table.find(as_bytes("joe")), kStart, [&](store::OriginId origin) { return origin == lb1; });
  restore(snapshot_of(before, kStart), after, kStart);
  EXPECT_EQ(contents(after, kStart), contents(before, kStart));
  EXPECT_EQ(after.registry.find("http")->table->owed(after.peer("lb1").origin), 1U);
  EXPECT_EQ(tell(after, "lb1", definition, "joe", {1, 2}, {7}, kStart), store::Applied::kCleared);
}

TEST_F(RoundTripTest, AReplicatedTableKeepsItsWriters) {
  const TableDefinition definition = table_of("sessions", {{DataType::kGpt0}});
  pipeline::TableRecord& record = before.registry.define(before.peer("lb1").origin, definition, kStart);
  const store::Plan plan = store::make_plan(definition, record.table->layout());
  for (const std::string_view key : {"joe", "amy"}) {
    const std::uint64_t cells[] = {7};
    record.table->apply(
        plan, {before.hub.own_origin(), before.registry.next_change(), as_bytes(key), cells, {}}, kStart);
  }
  record.table->set_writer(0, before.peer("lb2").origin);
  record.table->set_writer(1, store::kNobody);
  restore(snapshot_of(before, kStart), after, kStart);
  EXPECT_EQ(contents(after, kStart), contents(before, kStart));
  EXPECT_EQ(after.registry.next_change(), before.registry.next_change()) << "numbers go on";
}

TEST_F(RoundTripTest, SlicesGiveTheSameFile) {
  const TableDefinition definition = table_of("http", {{DataType::kGpc0}});
  for (const char* name : {"a", "b", "http", "z"}) {
    TableDefinition named = definition;
    named.name = name;
    for (const char* key : {"joe", "amy", "eve"}) tell(before, "lb1", named, key, {1, 1}, {5}, kStart);
  }
  const auto whole = snapshot_of(before, kStart);
  for (std::size_t slice = 1; slice < 5; ++slice) EXPECT_EQ(snapshot_of(before, kStart, slice), whole);
}

TEST_F(RoundTripTest, WhatChangesBetweenSlicesIsOfItsOwnTime) {
  const TableDefinition few = table_of("http", {{DataType::kGpc0}});
  const TableDefinition more = table_of("http", {{DataType::kGpc0}, {DataType::kConnRate, 1, seconds(10)}});
  for (const char* key : {"joe", "amy"}) tell(before, "lb1", few, key, {1, 1}, {5}, kStart);
  Encoder encoder(before.hub);
  std::vector<std::byte> file;
  const auto write = [&](TimePoint now) {
    const Bytes part = encoder.next(1, now);
    file.insert(file.end(), part.begin(), part.end());
  };
  write(kStart);
  const TimePoint later = kStart + seconds(60);
  tell(before, "lb1", more, "amy", {1, 2}, {6, 1000, 3, 4}, later);
  tell(before, "lb2", few, "eve", {1, 1}, {9}, later);
  while (!encoder.done()) write(later);
  restore(file, after, kStart);
  // The clock stands still since the header: what was written later is taken for just as old.
  const store::Table& table = *after.registry.find("http")->table;
  const auto entry = table.find(as_bytes("amy"));
  EXPECT_EQ(table.expires(table.first(entry)), kStart + minutes(10));
  EXPECT_EQ(table.rate(table.first(entry), *table.layout().find(DataType::kConnRate), 0).start,
            kStart - seconds(1));
  EXPECT_EQ(table.number(table.first(entry), *table.layout().find(DataType::kGpc0), 0), 6U);
  EXPECT_EQ(table.entries(), 3U);
}

}  // namespace
}  // namespace stickmesh::snapshot
