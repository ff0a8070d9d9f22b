#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/unit/mesh/fleet.h"

namespace stickmesh::mesh {
namespace {

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

constexpr const char* kKeys[] = {"alice", "bob", "mallory", "trudy"};

/// Three agents and three instances, of which one has one agent, one two and one all.
class Schedule {
 public:
  explicit Schedule(std::uint64_t seed) : fleet_(3, {{0}, {1, 2}, {0, 1, 2}}, seed), random_(seed ^ 0x5eed) {}

  std::vector<std::string> play() {
    fleet_.advance(Duration(random_.between(0, 2000)));
    const std::uint32_t steps = random_.between(5, 40);
    for (std::uint32_t step = 0; step < steps; ++step) {
      act();
      fleet_.advance(Duration(random_.one_in(4) ? random_.between(0, 4000) : random_.between(0, 200)));
    }
    fleet_.heal();
    fleet_.advance(Duration(2000));
    fleet_.wait_for([&] { return fleet_.disagreements().empty(); });
    // It must stay so.
    fleet_.advance(Duration(3000));
    return fleet_.disagreements();
  }

 private:
  void act() {
    const std::size_t agent = random_.below(3);
    const std::size_t other = (agent + 1 + random_.below(2)) % 3;
    const std::size_t origin = random_.below(3);
    const Duration time(random_.between(100, 8000));
    switch (random_.below(16)) {
      case 0:
        return fleet_.kill_agent(agent, time);
      case 1:
        return fleet_.kill_origin(origin, time);
      case 2:
        return fleet_.pause_agent(agent, time);
      case 3:
        return fleet_.cut_agents(agent, other, time, random_.one_in(2));
      case 4:
        return fleet_.cut_origin(origin, agent, time);
      case 5:
        return fleet_.soft_restart(agent, Duration(random_.between(0, 500)));
      case 6:
        if (Agent* counting = fleet_.agent(agent))
          counting->count(kKeys[random_.below(4)], random_.between(1, 9), fleet_.now());
        return;
      default:
        for (std::uint32_t times = random_.between(1, 5); times != 0; --times) {
          if (Origin* process = fleet_.origin(random_.below(3)))
            process->count(kKeys[random_.below(4)], random_.between(1, 9));
        }
    }
  }

  Fleet fleet_;
  sim::Random random_;
};

// The same schedules each time, so that main stays green; others, or one again: STICKMESH_MESH_SEED=...
// STICKMESH_MESH_SCHEDULES=...
TEST(MeshRandomTest, AfterQuietAllAgreeWithTheOracle) {
  const std::uint64_t first = number_of("STICKMESH_MESH_SEED", 1);
  const std::uint64_t count = number_of("STICKMESH_MESH_SCHEDULES", 40);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    ASSERT_THAT(Schedule(seed).play(), testing::IsEmpty())
        << "STICKMESH_MESH_SEED=" << seed << " STICKMESH_MESH_SCHEDULES=1";
  }
}

}  // namespace
}  // namespace stickmesh::mesh
