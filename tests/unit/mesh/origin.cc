#include "tests/unit/mesh/origin.h"

#include <set>

namespace stickmesh::mesh {

namespace {

constexpr Duration kResyncTimeout{5000};

TableDefinition table(const std::string& name, std::vector<StoredType> types, Duration expire) {
  TableDefinition definition;
  definition.name = name;
  definition.key_type = KeyType::kString;
  definition.key_size = 65;
  definition.expire = expire;
  definition.types = std::move(types);
  return definition;
}

const TableDefinition kInput = table("http", {{DataType::kHttpReqCnt, 1, {}}}, std::chrono::minutes(30));
const TableDefinition kTotal = table("http.total", kInput.types, kInput.expire);
const TableDefinition kStatus =
    table("stickmesh", {{DataType::kGpt0, 1, {}}, {DataType::kGpc0, 1, {}}, {DataType::kGpc1, 1, {}}},
          Duration(2000));

}  // namespace

/// One session with one agent.
class Origin::Line final : public peers::Handler {
 public:
  Line(Origin& origin, const std::string& agent, TimePoint now) : origin_(origin) {
    peers::Options options;
    options.role = peers::Role::kDialling;
    options.local_name = origin.name_;
    options.remote_name = agent;
    options.pid = origin.pid_;
    options.heartbeat = Duration(3000);
    session_ = std::make_unique<peers::PeerSession>(options, *this, now);
    // What was not acknowledged in an earlier session is pushed again; here, all that is its own.
    for (const auto& [key, entry] : origin.own_) {
      if (!entry.given) waiting.insert(key);
    }
  }

  peers::PeerSession& session() { return *session_; }
  bool up() const { return session_->state() == peers::State::kRunning; }

  void run(TimePoint now) {
    if (!up()) return;
    if (!origin_.resynced_ && origin_.teacher_ == nullptr && !refused_) {
      origin_.teacher_ = this;
      session_->request_lesson(now);
    }
    if (lesson_asked_) {
      lesson_asked_ = false;
      awaits_confirm_ = true;
      for (const TableDefinition* shown : {&kTotal, &kStatus})
        session_->select(shown == &kTotal ? 2 : 3, *shown);
      for (const auto& [key, entry] : origin_.own_) send(key, entry, std::chrono::minutes(20));
      session_->finish_lesson(origin_.resynced_, now);
    }
    if (awaits_confirm_ || origin_.teacher_ == this) return;
    for (const std::string& key : waiting) {
      if (const Entry& entry = origin_.own_.at(key); !entry.given) send(key, entry, std::nullopt);
    }
    waiting.clear();
  }

  std::set<std::string> waiting;

 private:
  void send(const std::string& key, const Entry& entry, std::optional<Duration> remaining) {
    session_->select(1, kInput);
    encoder_.begin(entry.id, remaining);
    encoder_.key(KeyType::kString, as_bytes(key));
    encoder_.number(entry.count);
    session_->append_update(encoder_.finish());
  }

  Result<void> admit(const peers::Hello&, TimePoint) override { return {}; }
  void established(TimePoint) override {}
  std::optional<std::uint32_t> table_defined(const TableDefinition& definition, TimePoint) override {
    defined_.push_back(definition);
    return static_cast<std::uint32_t>(defined_.size() - 1);
  }
  void updated(std::uint32_t handle, const peers::Update& update, TimePoint now) override {
    origin_.learn(defined_[handle], update, now);
  }
  void lesson_requested(TimePoint) override { lesson_asked_ = true; }
  void lesson_ended(bool complete, TimePoint) override {
    if (origin_.teacher_ != this) return;
    origin_.teacher_ = nullptr;
    if (complete) origin_.resynced_ = true;
    refused_ = !complete;
  }
  void lesson_confirmed(TimePoint) override { awaits_confirm_ = false; }
  void acknowledged(peers::TableId, std::uint32_t, TimePoint) override {}
  void writable(TimePoint) override {}

  Origin& origin_;
  std::unique_ptr<peers::PeerSession> session_;
  peers::UpdateEncoder encoder_;
  std::vector<TableDefinition> defined_;
  bool lesson_asked_ = false;
  bool awaits_confirm_ = false;
  bool refused_ = false;
};

Origin::Origin(std::string name, std::uint64_t pid, TimePoint now)
    : name_(std::move(name)), pid_(pid), gives_up_(now + kResyncTimeout) {}

Origin::~Origin() = default;

void Origin::count(const std::string& key, std::uint32_t times) {
  Entry& entry = own_[key];
  entry.count += times;
  entry.id = next_id();
  entry.given = false;
  for (auto& [agent, line] : lines_) line->waiting.insert(key);
}

Session& Origin::dial(const std::string& agent, TimePoint now) {
  auto& line = lines_[agent];
  line = std::make_unique<Line>(*this, agent, now);
  return line->session();
}

Session* Origin::session(const std::string& agent) {
  const auto line = lines_.find(agent);
  return line == lines_.end() ? nullptr : &line->second->session();
}

void Origin::lost(const std::string& agent, TimePoint now) {
  const auto line = lines_.find(agent);
  if (line == lines_.end()) return;
  if (teacher_ == line->second.get()) {
    teacher_ = nullptr;
    gives_up_ = now + kResyncTimeout;
  }
  lines_.erase(line);
}

void Origin::run(TimePoint now) {
  if (!resynced_ && teacher_ == nullptr && now >= gives_up_) resynced_ = true;
  for (auto& [agent, line] : lines_) line->run(now);
}

void Origin::learn(const TableDefinition& table, const peers::Update& update, TimePoint now) {
  const std::string key(as_text(update.key));
  const auto number = [&](std::size_t cell) { return static_cast<std::uint32_t>(update.cells[cell]); };
  if (table.name == kTotal.name) {
    totals_[key] = number(0);
  } else if (table.name == kStatus.name) {
    mark_ = {number(0), number(1), number(2), now};
  } else if (table.name == kInput.name) {
    own_[key] = {number(0), next_id() + (std::uint32_t{1} << 31U), true};
  }
}

}  // namespace stickmesh::mesh
