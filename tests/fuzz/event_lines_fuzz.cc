// Lines of events from HAProxy's Lua. Whatever the bytes, and however they are cut into pieces: the same
// lines count, the same way, and all that is left of them is what a plain reading of the whole says. A line
// that was read is read again from what is written of it.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/log.h"
#include "agent/events/line_session.h"
#include "agent/pipeline/hub.h"
#include "tests/fuzz/check.h"

namespace {

using namespace stickmesh;
using events::LineCounters;
using events::LineSession;
using events::TrackLine;

constexpr TimePoint kNow{Duration(1'000'000)};

TableDefinition table(const std::string& name, KeyType key, std::uint32_t size) {
  TableDefinition definition;
  definition.name = name;
  definition.key_type = key;
  definition.key_size = size;
  definition.expire = std::chrono::minutes(10);
  definition.types = {
      {DataType::kGpc0, 1, {}}, {DataType::kGpc0Rate, 1, Duration(60'000)}, {DataType::kGpt0, 1, {}}};
  return definition;
}

struct Agent {
  Agent()
      : rules({{pipeline::Pattern("*"), pipeline::Pattern("*.total")}}, {"stickmesh", "limits"}, {}),
        registry(rules, std::size_t{1} << 26U, 64, 42),
        hub(setup(), registry, errors) {
    registry.declare(table("s", KeyType::kString, 17), 0, kNow);
    registry.declare(table("i", KeyType::kInteger, 4), 0, kNow);
    registry.declare(table("4", KeyType::kIpv4, 4), 0, kNow);
    registry.declare(table("6", KeyType::kIpv6, 16), 0, kNow);
    registry.declare(table("b", KeyType::kBinary, 8), 0, kNow);
  }

  static pipeline::HubSetup setup() {
    pipeline::HubSetup setup;
    setup.agent_name = "agent-1";
    return setup;
  }

  /// gpc0 of each entry.
  std::map<std::string, std::uint64_t> contents() const {
    std::map<std::string, std::uint64_t> found;
    for (const auto& [name, record] : registry.tables()) {
      const store::Table& of = *record.table;
      for (store::EntryId entry = of.next(0); entry != store::kNone; entry = of.next(entry + 1)) {
        const auto id = of.find(entry, hub.own_origin());
        FUZZ_CHECK(id != store::kNone);
        found[name + "/" + std::string(as_text(of.key(entry)))] = of.number(id, of.layout().columns()[0], 0);
      }
    }
    return found;
  }

  ErrorLog errors;
  pipeline::Rules rules;
  pipeline::Registry registry;
  pipeline::Hub hub;
  events::TrackCounter counter{hub};
  LineSession session{counter, "fuzz"};
};

/// Hands |text| over in pieces of |size|; whether all of it was taken.
bool feed(Agent& agent, std::string_view text, std::size_t size) {
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, size);
    if (!agent.session.receive(as_bytes(piece), kNow)) return false;
    text.remove_prefix(piece.size());
  }
  return true;
}

struct Expected {
  std::uint64_t lines = 0;
  std::uint64_t malformed = 0;
  bool taken = true;
};

Expected read_plainly(std::string_view text) {
  Expected expected;
  for (;;) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    if (line.size() > LineSession::kMaxLine) expected.taken = false;
    if (!expected.taken || end == std::string_view::npos) return expected;
    ++expected.lines;
    TrackLine read;
    if (!events::parse_track_line(line, read)) {
      ++expected.malformed;
    } else {
      const std::string written = events::to_text(read);
      TrackLine again;
      FUZZ_CHECK(written.back() == '\n' && written.find('\n') == written.size() - 1);
      FUZZ_CHECK(events::parse_track_line(std::string_view(written).substr(0, written.size() - 1), again));
      FUZZ_CHECK(again.table == read.table && again.key == read.key && again.counts == read.counts);
    }
    text.remove_prefix(end + 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  log::configure(log::Level::kError, log::Target::kStderr);
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Expected expected = read_plainly(text);
  Agent whole;
  Agent pieces;
  FUZZ_CHECK(feed(whole, text, text.size()) == expected.taken);
  FUZZ_CHECK(feed(pieces, text, std::size_t{data[0]} + 1) == expected.taken);
  for (const Agent* agent : {&whole, &pieces}) {
    const LineCounters& counters = agent->counter.counters();
    FUZZ_CHECK(counters.lines == expected.lines);
    FUZZ_CHECK(counters.malformed == expected.malformed);
    FUZZ_CHECK(counters.counted + counters.refused == counters.lines - counters.malformed);
  }
  FUZZ_CHECK(whole.counter.counters().counted == pieces.counter.counters().counted);
  FUZZ_CHECK(whole.contents() == pieces.contents());
  return 0;
}
