// What the table store costs: per update taken, per key added, purged and expired, and in memory. The work is
// that of the table "Speed and size" of the design: keys of type ip with a count, a rate, a counter and
// bytes.

#include <benchmark/benchmark.h>

#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "agent/aggregate/totals.h"
#include "agent/store/table.h"
#include "tests/bench/request_table.h"

namespace stickmesh::store {
namespace {

constexpr std::size_t kKeys = 1'000'000;
constexpr std::size_t kHotKeys = 1000;
constexpr std::size_t kEverything = static_cast<std::size_t>(-1);

TimePoint at(std::int64_t ms) {
  return TimePoint(Duration(ms));
}

using Key = std::array<std::byte, 4>;

// Distinct keys in no order: the n-th is n times an odd number, modulo 2^32.
Key key_of(std::uint64_t index) {
  const auto mixed = static_cast<std::uint32_t>(index * 2654435761U);
  return {std::byte(mixed >> 24U), std::byte(mixed >> 16U & 0xffU), std::byte(mixed >> 8U & 0xffU),
          std::byte(mixed & 0xffU)};
}

struct Bench {
  explicit Bench(std::size_t max_entries = 0) {
    table = std::make_unique<Table>("http", definition, default_merges(), max_entries, shared, at(now));
    plan = make_plan(definition, table->layout());
    for (unsigned origin = 0; origin < 64; ++origin) origins.intern("lb" + std::to_string(origin));
  }

  Applied apply(const Key& key, OriginId origin = 0) {
    ++count;
    if (count % 1000 == 0) ++now;
    const std::uint64_t cells[] = {count, count, 3000, count & 0xffU, 50, count * 1000};
    return table->apply(plan, {origin, {1, static_cast<std::uint32_t>(count)}, key, cells, {}}, at(now));
  }
  void fill(std::size_t keys, std::size_t from_origins = 1) {
    for (std::size_t origin = 0; origin < from_origins; ++origin) {
      for (std::size_t index = 0; index < keys; ++index) apply(key_of(index), static_cast<OriginId>(origin));
    }
  }

  MemoryBudget budget{std::size_t{8} << 30U};
  Origins origins{64};
  StringPool texts;
  std::uint64_t lamport = 0;
  Shared shared{budget, origins, texts, lamport, 0x5eed, {}};
  TableDefinition definition = request_table();
  std::unique_ptr<Table> table;
  Plan plan;
  std::uint64_t count = 0;
  std::int64_t now = 1'000'000;
};

// As a publisher does: what changed is collected every few thousand updates.
void publish(Bench& bench) {
  bench.table->take_changed([](EntryId entry) { benchmark::DoNotOptimize(entry); });
}

void update_known_keys(benchmark::State& state, std::size_t keys) {
  Bench bench;
  bench.fill(keys);
  bench.table->track_changes(true);
  publish(bench);
  std::mt19937 random(1);
  std::vector<Key> order(kKeys);
  for (Key& key : order) key = key_of(random() % keys);
  std::size_t next = 0;
  for (auto _ : state) {
    bench.apply(order[next]);
    if (++next == order.size()) next = 0;
    if (next % 4096 == 0) publish(bench);
  }
  state.SetItemsProcessed(state.iterations());
}

void UpdateOfRandomKeys(benchmark::State& state) {
  update_known_keys(state, kKeys);
}
BENCHMARK(UpdateOfRandomKeys)->Iterations(3 * kKeys);

void UpdateOfHotKeys(benchmark::State& state) {
  update_known_keys(state, kHotKeys);
}
BENCHMARK(UpdateOfHotKeys)->Iterations(10 * kKeys);

void InsertOfNewKeys(benchmark::State& state) {
  Bench bench;
  std::size_t next = 0;
  for (auto _ : state) bench.apply(key_of(next++));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(InsertOfNewKeys)->Iterations(kKeys);

// A flood of keys against a full table: each new one purges the oldest.
void InsertIntoFullTable(benchmark::State& state) {
  Bench bench(kKeys);
  bench.fill(kKeys);
  std::size_t next = kKeys;
  for (auto _ : state) {
    bench.apply(key_of(next++));
    if (next % 4096 == 0) bench.table->expire(at(bench.now), kEverything);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(InsertIntoFullTable)->Iterations(kKeys);

void ExpiryOfAllKeys(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    Bench bench;
    bench.fill(kKeys);
    state.ResumeTiming();
    bench.table->expire(at(bench.now) + std::chrono::minutes(11), kEverything);
    if (bench.table->entries() != 0) state.SkipWithError("entries are left");
    state.PauseTiming();
    bench.table.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kKeys));
}
BENCHMARK(ExpiryOfAllKeys)->Iterations(1)->Unit(benchmark::kMillisecond);

// Bytes per key, and per key and origin, with |range| origins that all know every key.
void Memory(benchmark::State& state) {
  for (auto _ : state) {
    Bench bench;
    bench.fill(kKeys, static_cast<std::size_t>(state.range(0)));
    const auto bytes = static_cast<double>(bench.budget.used());
    state.counters["bytes/key"] = bytes / static_cast<double>(bench.table->entries());
    state.counters["bytes/contribution"] = bytes / static_cast<double>(bench.table->contributions());
  }
}
BENCHMARK(Memory)->Arg(1)->Arg(2)->Arg(4)->Iterations(1)->Unit(benchmark::kMillisecond);

// The total of one key, to which |range| origins contribute: a count, a rate, and when the rate must be sent
// anew.
void ReadingOfTotals(benchmark::State& state) {
  Bench bench;
  bench.fill(kHotKeys, static_cast<std::size_t>(state.range(0)));
  aggregate::Totals totals(*bench.table);
  const Column& count = *bench.table->layout().find(DataType::kHttpReqCnt);
  const Column& rate = *bench.table->layout().find(DataType::kHttpReqRate);
  EntryId entry = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(totals.number(entry, count, 0, at(bench.now)));
    benchmark::DoNotOptimize(totals.rate(entry, rate, 0, at(bench.now)));
    benchmark::DoNotOptimize(totals.last_rate_strays_after());
    if (++entry == kHotKeys) entry = 0;
  }
}
BENCHMARK(ReadingOfTotals)->Arg(1)->Arg(2)->Arg(16);

}  // namespace
}  // namespace stickmesh::store

BENCHMARK_MAIN();
