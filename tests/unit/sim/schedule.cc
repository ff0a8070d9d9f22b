#include "tests/unit/sim/schedule.h"

#include <fmt/format.h>

#include <array>

namespace stickmesh::sim {

namespace {

using Kind = Step::Kind;

struct Choice {
  Kind kind;
  std::uint32_t weight;
};

constexpr Choice kChoices[] = {
    {Kind::kRequest, 40},     {Kind::kOpen, 5},   {Kind::kClose, 5}, {Kind::kTag, 4},
    {Kind::kOldRequest, 6},   {Kind::kPass, 14},  {Kind::kCut, 6},   {Kind::kBlock, 3},
    {Kind::kStall, 4},        {Kind::kReload, 5}, {Kind::kKill, 4},  {Kind::kKillOld, 2},
    {Kind::kRestartAgent, 3},
};

Kind choose(Random& random) {
  std::uint32_t all = 0;
  for (const Choice& choice : kChoices) all += choice.weight;
  std::uint32_t drawn = random.below(all);
  for (const Choice& choice : kChoices) {
    if (drawn < choice.weight) return choice.kind;
    drawn -= choice.weight;
  }
  return Kind::kPass;
}

std::uint32_t amount_of(Kind kind, const Schedule& schedule, Random& random) {
  const auto life = static_cast<std::uint32_t>(schedule.setup.expire.count());
  switch (kind) {
    case Kind::kRequest:
    case Kind::kOldRequest:
      return random.one_in(3) ? random.between(1, 60) : 1;
    case Kind::kTag:
      return random.between(1, 1'000'000'000);  // a touch that changes nothing cannot be told from a replay
    case Kind::kPass:
      if (random.one_in(8)) return random.between(life / 2, life + 2000);
      return random.one_in(2) ? random.between(1, 300) : random.between(300, 7000);
    case Kind::kCut:
      return random.below(3);
    case Kind::kBlock:
      return random.between(1, 9000);
    case Kind::kStall:
      return random.between(1, 3000);
    case Kind::kKill:
    case Kind::kRestartAgent:
      return random.one_in(2) ? random.between(0, 100) : random.between(100, 7000);
    case Kind::kOpen:
    case Kind::kClose:
    case Kind::kReload:
    case Kind::kKillOld:
      return 0;
  }
  return 0;
}

constexpr std::array<std::string_view, 13> kWords = {"request",
                                                     "open",
                                                     "close",
                                                     "tag",
                                                     "request at the old process",
                                                     "pass",
                                                     "cut",
                                                     "block",
                                                     "stall",
                                                     "reload",
                                                     "kill",
                                                     "kill the old process",
                                                     "restart the agent"};

}  // namespace

std::string_view key_name(std::size_t key) {
  constexpr std::array<std::string_view, kKeys> kNames = {"amy", "bob", "eve", "joe", "zoe"};
  return kNames[key];
}

Schedule make_schedule(std::uint64_t seed) {
  Random random(seed);
  Schedule schedule{seed, {}, {}};
  schedule.setup.instances = random.between(2, 4);
  schedule.setup.expire = Duration(random.one_in(2) ? 60'000 : 20'000);
  if (random.one_in(4)) schedule.setup.input_size = random.between(2, kKeys - 1);
  Weather& weather = schedule.setup.weather;
  weather.high = random.one_in(3) ? random.between(50, 400) : random.between(0, 30);
  if (random.one_in(2)) weather.room = random.between(100, 1000);
  if (random.one_in(2)) schedule.setup.buffer = random.between(50, 400);
  schedule.steps.resize(random.between(8, 40));
  for (Step& step : schedule.steps) {
    step.kind = choose(random);
    step.instance = random.below(static_cast<std::uint32_t>(schedule.setup.instances));
    step.key = random.below(kKeys);
    step.amount = amount_of(step.kind, schedule, random);
    step.pause = Duration(random.one_in(3) ? 0 : random.between(1, random.one_in(4) ? 1500 : 60));
    step.noise = random.next();
  }
  return schedule;
}

std::string describe(const Step& step) {
  return fmt::format("{} instance {} key {} amount {}, then {} ms",
                     kWords[static_cast<std::size_t>(step.kind)], step.instance + 1, key_name(step.key),
                     step.amount, step.pause.count());
}

}  // namespace stickmesh::sim
