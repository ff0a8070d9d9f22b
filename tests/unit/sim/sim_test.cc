#include <fmt/format.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>

#include "agent/base/log.h"
#include "tests/unit/sim/play.h"

namespace stickmesh::sim {
namespace {

#ifdef NDEBUG
constexpr std::uint64_t kSchedules = 3000;
#else
constexpr std::uint64_t kSchedules = 300;
#endif
constexpr int kShown = 3;

std::optional<std::uint64_t> environment(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? std::nullopt : std::optional<std::uint64_t>(std::strtoull(text, nullptr, 10));
}

/// The shortest schedule that fails as |failed| does, step by step.
std::string story(const Schedule& failed) {
  const Schedule schedule = shrink(failed);
  std::vector<std::string> lines;
  const std::vector<std::string> problems = play(schedule, &lines);
  std::string text =
      fmt::format("seed {} fails; again with STICKMESH_SIM_SEED={}. {} of its {} steps are enough:\n",
                  failed.seed, failed.seed, schedule.steps.size(), failed.steps.size());
  const Cluster::Setup& setup = schedule.setup;
  text += fmt::format(
      "{} instances, expire {} ms, room for {} entries, buffer of {} bytes; the network takes {} to {} ms "
      "and {} bytes\n",
      setup.instances, setup.expire.count(), setup.input_size, setup.buffer, setup.weather.low,
      setup.weather.high, setup.weather.room);
  for (const std::string& line : lines) text += line + "\n";
  for (const std::string& line : problems) text += "WRONG: " + line + "\n";
  return text;
}

class SimTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    log::configure(log::Level::kError, log::Target::kStderr);
    // A schedule needs little memory for a very short time: giving it back after each would take a third of
    // the time.
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    mallopt(M_TOP_PAD, 16 << 20);
  }
};

TEST_F(SimTest, AfterAnyFaultsEverybodyHasTheOraclesTotals) {
  const std::optional<std::uint64_t> replayed = environment("STICKMESH_SIM_SEED");
  const std::uint64_t first = replayed ? *replayed : std::random_device()();
  const std::uint64_t count = environment("STICKMESH_SIM_SCHEDULES").value_or(replayed ? 1 : kSchedules);
  // At once, because a schedule may bring the whole program down.
  fmt::print("{} schedules from seed {} on\n", count, first);
  std::fflush(stdout);
  std::vector<std::uint64_t> failed;
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const Schedule schedule = make_schedule(seed);
    if (play(schedule).empty()) continue;
    failed.push_back(seed);
    if (failed.size() <= kShown) ADD_FAILURE() << story(schedule);
  }
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  fmt::print("{:.0f} a second\n", static_cast<double>(count) / taken.count());
  EXPECT_TRUE(failed.empty()) << fmt::format("{} fail: {}", failed.size(), fmt::join(failed, " "));
}

TEST_F(SimTest, ASeedIsAlwaysTheSameStory) {
  const Schedule schedule = make_schedule(4711);
  std::vector<std::string> first;
  std::vector<std::string> second;
  play(schedule, &first);
  play(schedule, &second);
  EXPECT_EQ(first, second);
  EXPECT_GT(first.size(), schedule.steps.size());
}

}  // namespace
}  // namespace stickmesh::sim
