#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>

#include "agent/peers/session/session.h"
#include "tests/unit/peers/vectors.h"

namespace stickmesh::peers {
namespace {

constexpr TimePoint kStart{std::chrono::hours(1)};

/// The least that can stand behind a session: own entries, which it teaches and pushes, and what the other
/// side said.
class Node : public Handler {
 public:
  struct Entry {
    std::uint32_t id = 0;
    std::vector<std::uint64_t> cells;
    std::string server_key;
  };
  using Table = std::map<std::string, Entry>;

  PeerSession* session = nullptr;
  std::vector<TableDefinition> definitions{vectors::t1_table(), vectors::src_table()};
  std::map<std::string, Table> own, learned;
  std::map<TableId, std::uint32_t> last_sent, last_acked;
  std::vector<std::string> handles;
  std::uint32_t counter = 0;
  int lessons_asked = 0, lessons_ended = 0, lessons_given = 0, lessons_confirmed = 0;

  void ask(TimePoint now) {
    ++lessons_asked;
    session->request_lesson(now);
  }

  void change(std::mt19937& random, bool push) {
    const std::size_t index = random() % definitions.size();
    const TableDefinition& table = definitions[index];
    Entry entry;
    std::string key;
    if (table.key_type == KeyType::kString) {
      key = std::string(random() % 32, static_cast<char>('a' + random() % 26));
      const std::uint64_t name = random() % 200;
      entry.cells = {random() % 2 == 0 ? random() : static_cast<std::uint64_t>(-1),
                     name == 0 ? kServerKeyNone : kServerKeySet};
      entry.cells[0] = static_cast<std::uint64_t>(static_cast<std::int32_t>(entry.cells[0]));
      if (name != 0) entry.server_key = "server" + std::to_string(name);
    } else {
      const auto number = static_cast<std::uint32_t>(random() % 500);
      key = std::string(reinterpret_cast<const char*>(&number), sizeof number);
      entry.cells = {random(), 0xffffffff, random() % kMaxTime, random() % 1000, random()};
    }
    entry.id = ++counter;
    own[table.name][key] = entry;
    if (!push) return;
    send(index, key, entry, std::nullopt);
    last_sent[static_cast<TableId>(index + 1)] = entry.id;
  }

  void send(std::size_t index, const std::string& key, const Entry& entry,
            std::optional<Duration> remaining) {
    const TableDefinition& table = definitions[index];
    const auto number = static_cast<TableId>(index + 1);
    session->select(number, table);
    encoder_.begin(entry.id, remaining);
    encoder_.key(table.key_type, as_bytes(key));
    if (table.key_type == KeyType::kString) {
      encoder_.signed_number(static_cast<std::int64_t>(entry.cells[0]));
      encoder_.server_key(entry.server_key);
    } else {
      encoder_.number(entry.cells[0]);
      encoder_.number(entry.cells[1]);
      encoder_.rate(static_cast<std::uint32_t>(entry.cells[2]), static_cast<std::uint32_t>(entry.cells[3]),
                    static_cast<std::uint32_t>(entry.cells[4]));
    }
    session->append_update(encoder_.finish());
  }

  Result<void> admit(const Hello&, TimePoint) override { return {}; }
  void established(TimePoint now) override { ask(now); }
  std::optional<std::uint32_t> table_defined(const TableDefinition& definition, TimePoint) override {
    handles.push_back(definition.name);
    return static_cast<std::uint32_t>(handles.size() - 1);
  }
  void updated(std::uint32_t handle, const Update& update, TimePoint) override {
    Table& table = learned[handles[handle]];
    Entry& entry = table[std::string(as_text(update.key))];
    if (entry.id > update.update_id) return;
    entry = {update.update_id, {update.cells.begin(), update.cells.end()}, std::string(update.server_key)};
  }
  void lesson_requested(TimePoint now) override {
    const std::optional<Duration> left =
        session->hello().minor == 0 ? std::nullopt : std::optional(Duration(10'000));
    for (std::size_t index = 0; index < definitions.size(); ++index) {
      for (const auto& [key, entry] : own[definitions[index].name]) send(index, key, entry, left);
    }
    session->finish_lesson(/*complete=*/true, now);
    ++lessons_given;
  }
  void lesson_ended(bool complete, TimePoint) override {
    EXPECT_TRUE(complete);
    ++lessons_ended;
  }
  void lesson_confirmed(TimePoint) override { ++lessons_confirmed; }
  void acknowledged(TableId table, std::uint32_t id, TimePoint) override { last_acked[table] = id; }
  void writable(TimePoint) override {}

 private:
  UpdateEncoder encoder_;
};

bool same(const std::map<std::string, Node::Table>& a, const std::map<std::string, Node::Table>& b) {
  const auto same_entry = [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.id == y.second.id && x.second.cells == y.second.cells &&
           x.second.server_key == y.second.server_key;
  };
  const auto same_table = [&](const auto& x, const auto& y) {
    return x.first == y.first &&
           std::equal(x.second.begin(), x.second.end(), y.second.begin(), y.second.end(), same_entry);
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same_table);
}

class Dialogue {
 public:
  Dialogue(unsigned seed, std::size_t max_piece, unsigned minor)
      : random_(seed),
        max_piece_(max_piece),
        now_(kStart),
        caller_(dialling(minor), nodes_[0], now_),
        callee_(accepting(), nodes_[1], now_) {
    nodes_[0].session = &caller_;
    nodes_[1].session = &callee_;
  }

  void run(int changes) {
    for (Node& node : nodes_) {
      for (int entry = 0; entry < 50; ++entry) node.change(random_, /*push=*/false);
    }
    while (caller_.state() != State::kRunning || callee_.state() != State::kRunning) step();
    while (changes > 0) {
      if (random_() % 4 == 0) {
        nodes_[random_() % 2].change(random_, /*push=*/true);
        --changes;
      }
      if (random_() % 500 == 0) nodes_[random_() % 2].ask(now_);
      step();
      if (::testing::Test::HasFatalFailure()) return;
    }
    int quiet = 0;
    while (quiet < 10 || caller_.learning() || callee_.learning()) {
      quiet = caller_.pending().empty() && callee_.pending().empty() ? quiet + 1 : 0;
      step();
      if (::testing::Test::HasFatalFailure()) return;
    }
    check(nodes_[0], nodes_[1]);
    check(nodes_[1], nodes_[0]);
  }

 private:
  static Options dialling(unsigned minor) {
    Options options;
    options.role = Role::kDialling;
    options.local_name = "a";
    options.remote_name = "b";
    options.minor = minor;
    return options;
  }
  static Options accepting() {
    Options options;
    options.local_name = "b";
    return options;
  }

  void step() {
    now_ += Duration(random_() % 5);
    if (random_() % 2 == 0) {
      move(caller_, callee_);
    } else {
      move(callee_, caller_);
    }
    for (PeerSession* session : {&caller_, &callee_}) {
      const std::optional<TimePoint> due = session->deadline();
      ASSERT_TRUE(due);
      if (*due > now_) continue;
      ASSERT_TRUE(session->expire(now_));
    }
  }

  void move(PeerSession& from, PeerSession& to) {
    const Bytes pending = from.pending();
    const std::size_t size = std::min<std::size_t>(pending.size(), 1 + random_() % max_piece_);
    const std::vector<std::byte> piece(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(size));
    from.sent(size, now_);
    const auto taken = to.receive(piece, now_);
    ASSERT_TRUE(taken) << to_string(taken.error());
  }

  static void check(const Node& teacher, const Node& learner) {
    EXPECT_TRUE(same(teacher.own, learner.learned));
    EXPECT_EQ(teacher.lessons_given, teacher.lessons_confirmed);
    EXPECT_GE(learner.lessons_ended, 1);
    // What is pushed during an untimed lesson cannot be told from it, and is not acknowledged.
    if (teacher.session->hello().minor == 1) {
      EXPECT_EQ(teacher.last_acked, teacher.last_sent);
    }
  }

  std::mt19937 random_;
  std::size_t max_piece_;
  TimePoint now_;
  std::array<Node, 2> nodes_;
  PeerSession caller_, callee_;
};

void run_dialogues(unsigned minor) {
  for (const std::size_t piece : {1U, 7U, 100U, 5000U}) {
    for (const unsigned seed : {1U, 2U, std::random_device()()}) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", pieces of up to " << piece);
      Dialogue(seed, piece, minor).run(300);
    }
  }
}

TEST(DialogueTest, BothSidesKnowEverythingWhateverTheFragmentation) {
  run_dialogues(/*minor=*/1);
}

TEST(DialogueTest, SoTheyDoOverVersion20) {
  run_dialogues(/*minor=*/0);
}

}  // namespace
}  // namespace stickmesh::peers
