#include "tests/unit/mesh/fleet.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/aggregate/totals.h"
#include "agent/snapshot/encoder.h"
#include "agent/snapshot/file.h"

namespace stickmesh::mesh {

namespace {

const Error kCut{Reason::kConnectionLost, "cut by the test"};
constexpr Duration kRedial{300};

}  // namespace

pipeline::Peer& Agent::peer(std::string_view name) {
  for (pipeline::Peer& peer : hub.peers()) {
    if (peer.setup.name == name) return peer;
  }
  std::abort();
}

std::optional<std::uint32_t> Agent::contribution(const std::string& origin, const std::string& key) {
  const pipeline::TableRecord* record = registry.find("http");
  const auto id = registry.origins().find(origin);
  if (record == nullptr || !id) return std::nullopt;
  const store::Table& table = *record->table;
  const store::EntryId entry = table.find(as_bytes(key));
  const store::ContributionId found = entry == store::kNone ? store::kNone : table.find(entry, *id);
  if (found == store::kNone) return std::nullopt;
  return static_cast<std::uint32_t>(table.number(found, *table.layout().find(DataType::kHttpReqCnt), 0));
}

std::uint64_t Agent::total(const std::string& key, TimePoint now) {
  const pipeline::TableRecord* record = registry.find("http");
  if (record == nullptr) return 0;
  const store::Table& table = *record->table;
  const store::EntryId entry = table.find(as_bytes(key));
  if (entry == store::kNone) return 0;
  return aggregate::Totals(*record->table).number(entry, *table.layout().find(DataType::kHttpReqCnt), 0, now);
}

bool Agent::count(const std::string& key, std::uint64_t times, TimePoint now) {
  pipeline::TableRecord* record = registry.find("http");
  if (record == nullptr) return false;
  const std::uint64_t cells[] = {own[key] += times};
  record->table->apply(store::make_plan(record->table->definition(), record->table->layout()),
                       {hub.own_origin(), hub.next_version(*record), as_bytes(key), cells, {}, {}, {}}, now);
  hub.wake();
  return true;
}

std::string Agent::describe(const std::string& key) {
  std::string text = hub.setup().agent_name + ":";
  const pipeline::TableRecord* record = registry.find("http");
  if (record == nullptr) return text + " no table";
  const store::Table& table = *record->table;
  const store::EntryId entry = table.find(as_bytes(key));
  if (entry == store::kNone) return text + " nothing";
  for (store::ContributionId id = table.first(entry); id != store::kNone; id = table.following(id)) {
    const store::Origin& origin = registry.origins()[table.origin(id)];
    const pipeline::Peer* peer = hub.instance(table.origin(id));
    text += fmt::format(" [{} {} version {}.{:x}{}, known {} of {:x}, here {} of {:x}]", origin.name,
                        table.number(id, *table.layout().find(DataType::kHttpReqCnt), 0),
                        table.version(id).generation, table.version(id).update_id,
                        table.adopted(id) ? " adopted" : "", origin.generation, origin.process,
                        peer == nullptr ? 0 : peer->generation, peer == nullptr ? 0 : peer->process);
  }
  return text;
}

Fleet::Fleet(std::size_t agents, std::vector<std::vector<std::size_t>> homes, std::uint64_t seed)
    : random_(seed) {
  for (std::size_t index = 0; index < homes.size(); ++index) {
    origins_.push_back({"lb" + std::to_string(index + 1), std::move(homes[index]), nullptr, {}});
  }
  agents_.resize(agents);
  advance(Duration(0));
}

Fleet::~Fleet() {
  drop([](const Connection&) { return true; });
}

pipeline::HubSetup Fleet::setup_of(std::size_t agent) {
  pipeline::HubSetup setup;
  setup.agent_name = agent_name(agent);
  setup.config_file = "stickmesh.toml";
  setup.pid = next_pid_++;
  for (const OriginSlot& origin : origins_)
    setup.peers.push_back({origin.name, pipeline::PeerKind::kHaproxy, {}, {}, 1});
  for (std::size_t other = 0; other < agents_.size(); ++other) {
    if (other != agent) setup.peers.push_back({agent_name(other), pipeline::PeerKind::kAgent, {}, {}, 2});
  }
  setup.limits = {{"api", "http", DataType::kHttpReqCnt, {100, false}}};
  setup.allowed_from = [](const pipeline::Source&) { return true; };
  setup.wall_clock = [this] {
    return std::chrono::system_clock::time_point(std::chrono::seconds(1'700'000'000)) +
           (now_.time_since_epoch());
  };
  return setup;
}

void Fleet::advance(Duration time) {
  const TimePoint until = now_ + time;
  for (;;) {
    for (int rounds = 0; work() && rounds < 1000; ++rounds) {
    }
    if (now_ >= until) return;
    now_ += Duration(1);
  }
}

bool Fleet::wait_for(const std::function<bool()>& true_now) {
  for (int step = 0; step < 6000 && !true_now(); ++step) advance(Duration(10));
  return true_now();
}

bool Fleet::work() {
  bool any = start_what_is_due();
  any |= dial_what_is_not_connected();
  for (auto at = connections_.begin(); at != connections_.end();) {
    any |= work(*at);
    at = !at->accepting && !at->dialler_open ? connections_.erase(at) : std::next(at);
  }
  for (OriginSlot& origin : origins_) {
    if (origin.process) origin.process->run(now_);
  }
  for (std::size_t index = 0; index < agents_.size(); ++index) {
    AgentSlot& slot = agents_[index];
    if (!slot.life || paused(index) || (!any && slot.due > now_ && !slot.succession)) continue;
    const auto next = slot.life->hub.run(now_);
    if (slot.succession) any |= work(index, *slot.succession);
    slot.due = next ? std::max(*next, now_ + Duration(1)) : now_ + Duration(1000);
  }
  return any;
}

bool Fleet::start_what_is_due() {
  bool any = false;
  for (std::size_t index = 0; index < agents_.size(); ++index) {
    if (agents_[index].life || agents_[index].start > now_) continue;
    agents_[index].life = std::make_unique<Agent>(setup_of(index));
    any = true;
  }
  for (OriginSlot& origin : origins_) {
    if (origin.process || origin.start > now_) continue;
    origin.process = std::make_unique<Origin>(origin.name, next_pid_++, now_);
    any = true;
  }
  return any;
}

bool Fleet::dial_what_is_not_connected() {
  bool any = false;
  const auto free = [&](const std::string& one, const std::string& other) {
    TimePoint& until = blocked_[{one, other}];
    if (until > now_) return false;
    until = now_ + kRedial;
    return true;
  };
  for (std::size_t index = 0; index < origins_.size(); ++index) {
    OriginSlot& origin = origins_[index];
    for (const std::size_t home : origin.homes) {
      if (!origin.process || !agents_[home].life || origin.process->session(agent_name(home)) != nullptr)
        continue;
      if (!free(origin.name, agent_name(home))) continue;
      origin.process->dial(agent_name(home), now_);
      Connection& connection = connections_.emplace_back();
      connection.agent = home;
      connection.origin = index;
      connection.accepting = agents_[home].life->hub.accept({"127.0.0.1:5000", "127.0.0.1"}, now_);
      any = true;
    }
  }
  // Both dial, as two agents do that have each other's address.
  for (std::size_t one = 0; one < agents_.size(); ++one) {
    for (std::size_t other = 0; other < agents_.size(); ++other) {
      if (one == other || !agents_[one].life || !agents_[other].life || paused(one)) continue;
      pipeline::Peer& peer = agents_[one].life->peer(agent_name(other));
      if (peer.link != nullptr || !free(agent_name(one), agent_name(other))) continue;
      Connection& connection = connections_.emplace_back();
      connection.agent = other;
      connection.dialling_agent = one;
      connection.dialling = agents_[one].life->hub.dial(peer, {"127.0.0.1:6000", "127.0.0.1"}, now_);
      connection.accepting = agents_[other].life->hub.accept({"127.0.0.1:5000", "127.0.0.1"}, now_);
      any = true;
    }
  }
  return any;
}

Session* Fleet::dialler(Connection& connection) {
  if (!connection.dialler_open) return nullptr;
  if (connection.dialling) return connection.dialling.get();
  return origins_[*connection.origin].process->session(agent_name(connection.agent));
}

bool Fleet::work(Connection& connection) {
  const bool hears = !paused(connection.agent);
  const bool dialler_hears = !connection.dialling_agent || !paused(*connection.dialling_agent);
  bool any = false;
  if (hears && connection.silent <= now_) any |= deliver(connection.up, connection, true);
  if (dialler_hears && connection.silent <= now_) any |= deliver(connection.down, connection, false);
  const auto check = [&](Session* session, bool awake, auto&& close) {
    if (session == nullptr || !awake) return;
    if (const auto when = session->deadline(); when && *when <= now_) {
      static_cast<void>(session->expire(now_));
      any = true;
    }
    if (session->close_reason()) {
      close(Error(*session->close_reason()));
      any = true;
    }
  };
  check(connection.accepting.get(), hears, [&](const Error& why) { close_accepting(connection, why); });
  check(dialler(connection), dialler_hears, [&](const Error& why) { close_dialling(connection, why); });
  if (hears) any |= carry(connection.accepting.get(), connection.down);
  if (dialler_hears) any |= carry(dialler(connection), connection.up);
  return any;
}

bool Fleet::carry(Session* from, sim::Pipe& pipe) {
  if (from == nullptr || from->pending().empty()) return false;
  const Bytes bytes = from->pending();
  pipe.write(bytes, now_, weather_, random_);
  from->sent(bytes.size(), now_);
  return true;
}

bool Fleet::deliver(sim::Pipe& pipe, Connection& connection, bool to_accepting) {
  const auto due = pipe.due();
  if (!due || *due > now_) return false;
  Session* to = to_accepting ? connection.accepting.get() : dialler(connection);
  if (to != nullptr && !to->wants_input()) return false;
  const Bytes piece = pipe.take(now_, weather_, random_);
  const bool end = piece.empty();
  if (end) pipe = sim::Pipe();
  if (to == nullptr) return true;
  std::optional<Error> failed;
  if (end) {
    failed = kCut;
  } else if (auto taken = to->receive(piece, now_); !taken) {
    failed = taken.error();
  }
  if (!failed) return true;
  if (to_accepting) {
    close_accepting(connection, *failed);
  } else {
    close_dialling(connection, *failed);
  }
  return true;
}

void Fleet::close_accepting(Connection& connection, const Error& why) {
  if (!connection.accepting) return;
  carry(connection.accepting.get(), connection.down);
  connection.accepting->closed(why, now_);
  connection.accepting.reset();
  connection.down.finish(now_, weather_, random_);
}

void Fleet::close_dialling(Connection& connection, const Error& why) {
  if (!std::exchange(connection.dialler_open, false)) return;
  if (connection.dialling) {
    connection.dialling->closed(why, now_);
    connection.dialling.reset();
  } else if (origins_[*connection.origin].process) {
    origins_[*connection.origin].process->lost(agent_name(connection.agent), now_);
  }
  connection.up.finish(now_, weather_, random_);
}

void Fleet::drop(const std::function<bool(const Connection&)>& which) {
  for (auto at = connections_.begin(); at != connections_.end();) {
    if (!which(*at)) {
      ++at;
      continue;
    }
    close_accepting(*at, kCut);
    close_dialling(*at, kCut);
    at = connections_.erase(at);
  }
}

void Fleet::kill_agent(std::size_t index, Duration downtime) {
  drop([&](const Connection& at) { return at.agent == index || at.dialling_agent == index; });
  agents_[index].succession.reset();
  agents_[index].life.reset();
  agents_[index].paused = {};
  agents_[index].start = now_ + downtime;
}

Fleet::Succession::Succession(Agent& before, const pipeline::HubSetup& setup, TimePoint now)
    : next(std::make_unique<Agent>(setup)),
      teaching(before.hub, now),
      learning(
          next->hub, [this] { learned = true; }, [] {}, now) {
  hand_on_state(before, now);
}

void Fleet::Succession::hand_on_state(Agent& before, TimePoint now) {
  snapshot::Encoder encoder(before.hub, snapshot::Encoder::Scope::kWithoutContributions);
  if (!snapshot::restore(encoder.next(1, now), next->hub, now)) std::abort();
}

void Fleet::soft_restart(std::size_t index, Duration time) {
  AgentSlot& slot = agents_[index];
  if (!slot.life || slot.succession || paused(index)) return;
  slot.succession = std::make_unique<Succession>(*slot.life, setup_of(index), now_);
  slot.succession->until = now_ + time;
}

bool Fleet::work(std::size_t agent, Succession& succession) {
  if (!succession.teaching.run(now_)) {
    agents_[agent].succession.reset();
    return true;
  }
  bool any = false;
  for (auto [from, pipe, to] : {std::tuple<Session*, sim::Pipe*, Session*>(
                                    &succession.teaching, &succession.lesson, &succession.learning),
                                {&succession.learning, &succession.answers, &succession.teaching}}) {
    any |= carry(from, *pipe);
    if (const auto due = pipe->due(); !due || *due > now_) continue;
    if (!to->receive(pipe->take(now_, weather_, random_), now_)) std::abort();
    any = true;
  }
  if (!succession.learned || now_ < succession.until) return any;
  switch_over(agent, succession);
  return true;
}

void Fleet::switch_over(std::size_t agent, Succession& succession) {
  AgentSlot& slot = agents_[agent];
  while (!succession.teaching.all_sent() || succession.learning.size() < succession.teaching.size()) {
    if (!succession.teaching.run(now_, /*freeze=*/true)) return slot.succession.reset();
    carry(&succession.teaching, succession.lesson);
    while (succession.lesson.due()) {
      if (!succession.learning.receive(succession.lesson.take(now_, weather_, random_), now_)) std::abort();
    }
  }
  succession.hand_on_state(*slot.life, now_);
  // What the old process had to say to others it says no more.
  drop([&](const Connection& at) { return at.agent == agent || at.dialling_agent == agent; });
  const std::unique_ptr<Agent> before = std::exchange(slot.life, std::move(succession.next));
  slot.life->own = before->own;
  const std::unique_ptr<Succession> over = std::move(slot.succession);
  slot.due = now_;
}

void Fleet::kill_origin(std::size_t index, Duration downtime) {
  drop([&](const Connection& at) { return at.origin == index; });
  origins_[index].process.reset();
  origins_[index].start = now_ + downtime;
}

void Fleet::cut_agents(std::size_t one, std::size_t other, Duration time, bool silent) {
  const auto between = [&](const Connection& at) {
    return (at.agent == one && at.dialling_agent == other) || (at.agent == other && at.dialling_agent == one);
  };
  blocked_[{agent_name(one), agent_name(other)}] = now_ + time;
  blocked_[{agent_name(other), agent_name(one)}] = now_ + time;
  if (!silent) return drop(between);
  for (Connection& connection : connections_) {
    if (between(connection)) connection.silent = now_ + time;
  }
}

void Fleet::cut_origin(std::size_t origin, std::size_t agent, Duration time) {
  blocked_[{origins_[origin].name, agent_name(agent)}] = now_ + time;
  drop([&](const Connection& at) { return at.origin == origin && at.agent == agent; });
}

void Fleet::heal() {
  blocked_.clear();
  for (AgentSlot& slot : agents_) slot.paused = slot.start = {};
  for (OriginSlot& origin : origins_) origin.start = {};
  for (Connection& connection : connections_) connection.silent = {};
}

std::vector<std::string> Fleet::disagreements() {
  std::vector<std::string> wrong;
  std::set<std::string> keys;
  for (AgentSlot& slot : agents_) {
    if (!slot.life) return {"an agent is away"};
    const pipeline::TableRecord* record = slot.life->registry.find("http");
    if (record == nullptr) continue;
    for (store::EntryId entry = record->table->next(0); entry != store::kNone;
         entry = record->table->next(entry + 1))
      keys.emplace(as_text(record->table->key(entry)));
  }
  for (OriginSlot& origin : origins_) {
    if (!origin.process) return {"an instance is away"};
    for (const auto& [key, entry] : origin.process->own()) keys.insert(key);
  }
  for (const std::string& key : keys) {
    const std::uint64_t total = agents_[0].life->total(key, now_);
    const std::size_t before = wrong.size();
    for (std::size_t index = 0; index < agents_.size(); ++index) {
      const std::uint64_t here = agents_[index].life->total(key, now_);
      if (here != total)
        wrong.push_back(
            fmt::format("{}: the total of a is {}, of {} {}", key, total, agent_name(index), here));
      for (OriginSlot& origin : origins_) {
        const auto own = origin.process->own().find(key);
        const auto held = agents_[index].life->contribution(origin.name, key);
        if (own != origin.process->own().end() && held != own->second.count) {
          wrong.push_back(fmt::format("{}: {} has counted {}, {} holds {}", key, origin.name,
                                      own->second.count, agent_name(index),
                                      held ? std::to_string(*held) : "nothing"));
        }
      }
    }
    for (OriginSlot& origin : origins_) {
      const auto shown = origin.process->totals().find(key);
      const std::uint64_t said = shown == origin.process->totals().end() ? 0 : shown->second;
      if (said != total)
        wrong.push_back(fmt::format("{}: {} is told {} of {}", key, origin.name, said, total));
    }
    for (AgentSlot& slot : agents_) {
      if (wrong.size() != before) wrong.push_back(slot.life->describe(key));
    }
  }
  return wrong;
}

}  // namespace stickmesh::mesh
