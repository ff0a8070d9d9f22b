// What a snapshot of a million contributions costs: encoded in the slices that the daemon takes, and read
// twice and restored. The table is that of `store_bench`.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "agent/base/log.h"
#include "agent/pipeline/hub.h"
#include "agent/snapshot/decoder.h"
#include "agent/snapshot/encoder.h"
#include "agent/snapshot/restoration.h"
#include "tests/bench/request_table.h"

namespace stickmesh::snapshot {
namespace {

constexpr std::uint32_t kKeys = 1'000'000;
constexpr std::size_t kSlice = 2000;
constexpr TimePoint kNow{Duration(1'000'000)};

struct Agent {
  Agent() : rules({{pipeline::Pattern("*"), pipeline::Pattern("*.total")}}, {"stickmesh", "limits"}) {
    log::configure(log::Level::kError, log::Target::kStderr);
  }
  static pipeline::HubSetup setup() {
    pipeline::HubSetup setup;
    setup.agent_name = "agent-1";
    setup.peers.push_back({"lb1", pipeline::PeerKind::kHaproxy, {}, {}, 1});
    return setup;
  }
  void fill() {
    const TableDefinition definition = request_table();
    const store::OriginId lb1 = *registry.origins().find("lb1");
    store::Table& table = *registry.define(lb1, definition, kNow).table;
    const store::Plan plan = store::make_plan(definition, table.layout());
    for (std::uint32_t index = 0; index < kKeys; ++index) {
      const std::uint32_t key = index * 2654435761U;
      const std::uint64_t cells[] = {index, index, 3000, index & 0xffU, 50, index * std::uint64_t{1000}};
      table.apply(plan, {lb1, {1, index + 1}, std::as_bytes(std::span(&key, 1)), cells, {}}, kNow);
    }
  }
  std::vector<std::byte> file() {
    Encoder encoder(hub);
    std::vector<std::byte> bytes;
    while (!encoder.done()) {
      const Bytes part = encoder.next(kSlice, kNow);
      bytes.insert(bytes.end(), part.begin(), part.end());
    }
    return bytes;
  }

  ErrorLog errors;
  pipeline::Rules rules;
  pipeline::Registry registry{rules, std::size_t{1} << 30U, 16, 42};
  pipeline::Hub hub{setup(), registry, errors};
};

void Encode(benchmark::State& state) {
  Agent agent;
  agent.fill();
  std::chrono::duration<double, std::milli> longest{0};
  std::size_t size = 0;
  for (auto _ : state) {
    Encoder encoder(agent.hub);
    size = 0;
    while (!encoder.done()) {
      const auto before = std::chrono::steady_clock::now();
      size += encoder.next(kSlice, kNow).size();
      longest = std::max<decltype(longest)>(longest, std::chrono::steady_clock::now() - before);
    }
  }
  state.counters["bytes/entry"] = static_cast<double>(size) / kKeys;
  state.counters["longest slice, ms"] = longest.count();
}

void Check(benchmark::State& state) {
  Agent agent;
  agent.fill();
  const std::vector<std::byte> file = agent.file();
  Receiver nobody;
  for (auto _ : state) benchmark::DoNotOptimize(decode(file, nobody));
}

void Restore(benchmark::State& state) {
  std::vector<std::byte> file;
  {
    Agent agent;
    agent.fill();
    file = agent.file();
  }
  for (auto _ : state) {
    Agent agent;
    Restoration restoration(agent.hub, kNow);
    benchmark::DoNotOptimize(decode(file, restoration));
    if (restoration.finish().restored != kKeys) state.SkipWithError("not all came back");
  }
}

BENCHMARK(Encode)->Unit(benchmark::kMillisecond);
BENCHMARK(Check)->Unit(benchmark::kMillisecond);
BENCHMARK(Restore)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace stickmesh::snapshot

BENCHMARK_MAIN();
