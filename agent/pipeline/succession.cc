#include "agent/pipeline/succession.h"

#include <fmt/format.h>

#include <utility>

namespace stickmesh::pipeline {

namespace {

constexpr peers::TableId kFirstTable = 1;
// Every table of every origin, or of every writer: as many as the other process holds.
constexpr std::size_t kMaxTables = std::size_t{1} << 24U;

peers::Options options_of(const HubSetup& setup, peers::Role role) {
  peers::Options options;
  options.role = role;
  options.local_name = setup.agent_name;
  options.remote_name = setup.agent_name;
  options.pid = setup.pid;
  options.max_tables = kMaxTables;
  // The other process is on this host, and may be starting, or at work for long.
  options.idle_timeout = options.write_timeout = std::chrono::seconds(30);
  options.handshake_timeout = std::chrono::seconds(120);
  return options;
}

}  // namespace

SuccessionLink::SuccessionLink(Hub& hub, peers::Role role, TimePoint now)
    : hub_(hub), session_(options_of(hub.setup(), role), *this, now) {
  session_.set_wakeup([this] { wake(); });
}

Result<void> SuccessionLink::admit(const peers::Hello& hello, TimePoint /*now*/) {
  if (hello.from == hub_.setup().agent_name) return {};
  return refuse(Reason::kWrongPeerName, fmt::format("'{}' wants to teach this agent, which is called '{}'",
                                                    hello.from, hub_.setup().agent_name));
}

TeachingLink::TeachingLink(Hub& hub, TimePoint now)
    : SuccessionLink(hub, peers::Role::kDialling, now),
      sending_(hub.registry(), session_, kFirstTable, TableSending::To::kSuccessor) {
  hub.keep_changes(true);
  sending_.look_for_tables();
}

TeachingLink::~TeachingLink() {
  hub_.keep_changes(false);
}

void TeachingLink::lesson_requested(TimePoint /*now*/) {
  lesson_asked_ = true;
  hub_.wake();
}

Result<void> TeachingLink::run(TimePoint now, bool freeze) {
  if (session_.close_reason()) return tl::unexpected(*session_.close_reason());
  if (freeze) hub_.publish_to_relays();
  if (sending_.look_for_tables())
    return refuse(Reason::kDefinitionMismatch, "a table was defined anew meanwhile");
  if (session_.state() == peers::State::kHandshake) return {};
  if (std::exchange(lesson_asked_, false)) {
    in_lesson_ = true;
    sending_.begin_lesson();
  }
  if (in_lesson_) {
    if (!sending_.send_lesson(now)) return {};
    in_lesson_ = false;
    taught_ = true;
    session_.finish_lesson(/*complete=*/true, now);
  }
  done_ = taught_ && sending_.send_changes(now);
  return {};
}

LearningLink::LearningLink(Hub& hub, std::function<void()> on_learned, std::function<void()> on_received,
                           TimePoint now)
    : SuccessionLink(hub, peers::Role::kAccepting, now),
      on_learned_(std::move(on_learned)),
      on_received_(std::move(on_received)),
      inputs_(hub.registry()) {}

Result<void> LearningLink::receive(Bytes in, TimePoint now) {
  Result<void> taken = session_.receive(in, now);
  if (taken) on_received_();
  hub_.wake();
  return taken;
}

void LearningLink::established(TimePoint now) {
  session_.request_lesson(now);
}

std::optional<std::uint32_t> LearningLink::table_defined(const TableDefinition& definition, TimePoint now) {
  const RelayedInputs::Defined defined = inputs_.define(definition, now);
  if (defined.problem) hub_.errors().record(*defined.problem, "the process before this one", now);
  return defined.handle;
}

void LearningLink::updated(std::uint32_t handle, const peers::Update& update, TimePoint now) {
  RelayedInput& input = inputs_[handle];
  if (const auto problem = inputs_.fit(input))
    hub_.errors().record(*problem, "the process before this one", now);
  if (input.plan.steps.empty()) return;
  store::Copy copy = input.copy(update, now);
  copy.heard = update.version.heard;
  copy.owed = update.version.owed;
  copy.stands = true;
  store::Table& table = *input.record->table;
  if (table.adopt(input.plan, copy, now) != store::Applied::kNoMemory) return;
  hub_.errors().record({Reason::kNoMemory, "no room for all that was held before: raise [agent] max-memory"},
                       "table " + table.name(), now);
}

void LearningLink::lesson_ended(bool /*complete*/, TimePoint /*now*/) {
  on_learned_();
}

}  // namespace stickmesh::pipeline
