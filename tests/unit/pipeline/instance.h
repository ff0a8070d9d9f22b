#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/peers/session/session.h"
#include "agent/pipeline/hub.h"
#include "agent/pipeline/peer_link.h"

namespace stickmesh::pipeline {

/// What an instance was sent of one entry.
struct Received {
  std::string table;
  std::string key;
  std::uint32_t update_id;
  bool timed;
  Duration remaining;
  std::vector<std::uint64_t> cells;
  std::string server_key;
};

/// An instance as the agent sees it, without HAProxy: it dials, pushes what the test says and records what it
/// is sent.
class Instance final : public peers::Handler {
 public:
  Instance(Hub& hub, const std::string& name, std::uint64_t pid, TimePoint now,
           const std::string& calls = "agent-1", bool complete = true,
           Source source = {"127.0.0.1:5000", "127.0.0.1", {}})
      : lesson_complete(complete), hub_(hub) {
    peers::Options options;
    options.role = peers::Role::kDialling;
    options.local_name = name;
    options.remote_name = calls;
    options.pid = pid;
    session_ = std::make_unique<peers::PeerSession>(options, *this, now);
    agent_ = hub.accept(std::move(source), now);
    exchange(now);
  }
  ~Instance() override { cut(TimePoint{}); }

  /// Carries bytes both ways until both are silent, and lets the agent work in between.
  void exchange(TimePoint now) {
    bool moved = true;
    while (moved && agent_) {
      moved = carry(*session_, *agent_, now);
      moved |= agent_ && carry(*agent_, *session_, now);
      hub_.run(now);
      moved |= agent_ && !agent_->pending().empty();
      if (agent_ && agent_->close_reason()) cut(now, *agent_->close_reason());
    }
  }
  /// |why| is a copy: the session that it may come from goes.
  void cut(TimePoint now, Error why = {Reason::kConnectionLost, "cut by the test"}) {
    if (!agent_) return;
    agent_->closed(why, now);
    agent_.reset();
    end_ = std::move(why);
  }

  bool up() const { return agent_ != nullptr && established_; }
  const std::optional<Error>& end() const { return end_; }
  peers::PeerSession& session() { return *session_; }

  void push(peers::TableId id, const TableDefinition& definition, const std::string& key,
            std::uint32_t update_id, const std::vector<std::uint64_t>& numbers,
            std::optional<Duration> remaining = {}) {
    session_->select(id, definition);
    encoder_.begin(update_id, remaining);
    encoder_.key(definition.key_type, as_bytes(key));
    std::size_t at = 0;
    for (const StoredType& stored : definition.types) {
      for (std::uint32_t element = 0; element < stored.elements; ++element) {
        if (traits(stored.type).kind == ValueKind::kRate) {
          encoder_.rate(static_cast<std::uint32_t>(numbers[at]), static_cast<std::uint32_t>(numbers[at + 1]),
                        static_cast<std::uint32_t>(numbers[at + 2]));
          at += 3;
        } else {
          encoder_.number(numbers[at++]);
        }
      }
    }
    session_->append_update(encoder_.finish());
  }

  std::vector<Received> received;
  std::vector<std::string> defined;
  int lessons_asked = 0;
  int lessons_ended = 0;
  bool answers_lessons = true;
  bool acknowledges = true;  ///< of tables defined from then on
  bool lesson_complete;
  /// Called before a lesson that was asked for is ended.
  std::function<void()> teach = [] {};

 private:
  static bool carry_bytes(Session& from, Session& to, TimePoint now, std::optional<Error>& failed) {
    const Bytes bytes = from.pending();
    if (bytes.empty()) return false;
    const std::vector<std::byte> copy(bytes.begin(), bytes.end());
    from.sent(copy.size(), now);
    if (auto taken = to.receive(copy, now); !taken) failed = taken.error();
    return true;
  }
  bool carry(Session& from, Session& to, TimePoint now) {
    std::optional<Error> failed;
    const bool moved = carry_bytes(from, to, now, failed);
    if (failed) cut(now, *failed);
    return moved;
  }

  Result<void> admit(const peers::Hello&, TimePoint) override { return {}; }
  void established(TimePoint) override { established_ = true; }
  std::optional<std::uint32_t> table_defined(const TableDefinition& definition, TimePoint) override {
    if (!acknowledges) return std::nullopt;
    defined.push_back(definition.name);
    return static_cast<std::uint32_t>(defined.size() - 1);
  }
  void updated(std::uint32_t handle, const peers::Update& update, TimePoint) override {
    received.push_back({defined[handle],
                        std::string(as_text(update.key)),
                        update.update_id,
                        update.timed,
                        update.remaining,
                        {update.cells.begin(), update.cells.end()},
                        std::string(update.server_key)});
  }
  void lesson_requested(TimePoint now) override {
    ++lessons_asked;
    if (!answers_lessons) return;
    teach();
    session_->finish_lesson(lesson_complete, now);
  }
  void lesson_ended(bool, TimePoint) override { ++lessons_ended; }
  void lesson_confirmed(TimePoint) override {}
  void acknowledged(peers::TableId, std::uint32_t, TimePoint) override {}
  void writable(TimePoint) override {}

  Hub& hub_;
  std::unique_ptr<peers::PeerSession> session_;
  std::unique_ptr<Session> agent_;
  peers::UpdateEncoder encoder_;
  bool established_ = false;
  std::optional<Error> end_;
};

/// An agent without sockets: rules, tables and hub.
struct Agent {
  explicit Agent(HubSetup setup = default_setup(),
                 std::vector<AggregateRule> aggregates = {{Pattern("*"), Pattern("*.total")}},
                 std::vector<Pattern> replicated = {})
      : rules(std::move(aggregates), {"stickmesh", "limits"}, std::move(replicated)),
        registry(rules, std::size_t{1} << 28U, 16, 42),
        hub(std::move(setup), registry, errors) {}

  static HubSetup default_setup() {
    HubSetup setup;
    setup.agent_name = "agent-1";
    setup.config_file = "stickmesh.toml";
    for (const char* name : {"lb1", "lb2", "lb3"})
      setup.peers.push_back({name, PeerKind::kHaproxy, {}, {}, 7});
    setup.allowed_from = [](const Source&) { return true; };
    return setup;
  }
  Peer& peer(std::string_view name) {
    for (Peer& peer : hub.peers()) {
      if (peer.setup.name == name) return peer;
    }
    std::abort();
  }

  ErrorLog errors;
  Rules rules;
  Registry registry;
  Hub hub;
};

inline TableDefinition counter_table(const std::string& name) {
  TableDefinition definition;
  definition.name = name;
  definition.key_type = KeyType::kString;
  definition.key_size = 33;
  definition.expire = std::chrono::minutes(10);
  definition.types = {{DataType::kHttpReqCnt, 1, {}}};
  return definition;
}

inline const TableDefinition kInput = counter_table("/http");
inline const TableDefinition kTotal = counter_table("/http.total");

/// In an update id: the instance has it from a lesson.
inline constexpr std::uint32_t kLearned = std::uint32_t{1} << 31U;

inline constexpr TimePoint kStart{Duration(1'000'000)};

}  // namespace stickmesh::pipeline
