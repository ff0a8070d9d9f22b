// The decoder of snapshots, and what it gives to an agent. Whatever the file, decoding ends with a result;
// one that decodes is restored, and a snapshot of that agent decodes and restores to the same contents.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/base/log.h"
#include "agent/pipeline/hub.h"
#include "agent/snapshot/decoder.h"
#include "agent/snapshot/encoder.h"
#include "agent/snapshot/restoration.h"
#include "tests/fuzz/check.h"

namespace {

using namespace stickmesh;

constexpr TimePoint kNow{Duration(1'000'000)};

struct Agent {
  Agent()
      : rules({{pipeline::Pattern("*"), pipeline::Pattern("*.total")}}, {"stickmesh", "limits"},
              {pipeline::Pattern("sessions*")}),
        registry(rules, std::size_t{1} << 26U, 64, 42),
        hub(setup(), registry, errors) {}

  static pipeline::HubSetup setup() {
    pipeline::HubSetup setup;
    setup.agent_name = "agent-1";
    setup.peers.push_back({"lb1", pipeline::PeerKind::kHaproxy, {}, {}, 1});
    setup.accept_unknown = true;
    setup.wall_clock = [] {
      return std::chrono::system_clock::time_point(std::chrono::milliseconds(1'700'000'000'000));
    };
    return setup;
  }

  ErrorLog errors;
  pipeline::Rules rules;
  pipeline::Registry registry;
  pipeline::Hub hub;
};

// Most inputs are records alone, so that a fuzzer need not find a checksum.
std::vector<std::byte> framed(Bytes records) {
  std::vector<char> file;
  snapshot::Framer::begin(file);
  file.insert(file.end(), as_text(records).begin(), as_text(records).end());
  snapshot::Framer framer;
  framer.add(as_bytes({file.data(), file.size()}));
  framer.end(file);
  const Bytes bytes = as_bytes({file.data(), file.size()});
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> snapshot_of(Agent& agent) {
  snapshot::Encoder encoder(agent.hub);
  std::vector<std::byte> file;
  while (!encoder.done()) {
    const Bytes part = encoder.next(3, kNow);
    file.insert(file.end(), part.begin(), part.end());
  }
  return file;
}

bool restore(Bytes file, Agent& agent) {
  snapshot::Restoration restoration(agent.hub, kNow);
  const bool decoded = snapshot::decode(file, restoration).has_value();
  if (decoded) restoration.finish();
  return decoded;
}

// What a table holds, by name.
std::map<std::string, std::size_t> sizes(const Agent& agent) {
  std::map<std::string, std::size_t> sizes;
  for (const auto& [name, record] : agent.registry.tables()) sizes[name] = record.table->contributions();
  return sizes;
}

void check(Bytes file) {
  snapshot::Receiver nobody;
  if (!snapshot::decode(file, nobody)) return;
  Agent first;
  FUZZ_CHECK(restore(file, first));
  const std::vector<std::byte> again = snapshot_of(first);
  Agent second;
  FUZZ_CHECK(restore(again, second));
  FUZZ_CHECK(sizes(first) == sizes(second));
  // The agent goes on with what it was given.
  first.hub.run(kNow);
  first.hub.run(kNow + std::chrono::hours(24 * 30));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input(reinterpret_cast<const std::byte*>(data), size);
  log::configure(log::Level::kError, log::Target::kStderr);
  check(input);
  check(framed(input));
  return 0;
}
