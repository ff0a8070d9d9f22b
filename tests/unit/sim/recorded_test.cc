#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "tests/unit/sim/local_lesson.h"
#include "tests/unit/sim/process.h"
#include "tests/unit/sim/said.h"

// Is the model like HAProxy? Each recording (tests/support/record_sessions.py) tells what was done to a real
// one, what it was told, and what it said. The model is told and done the same at the same times, and must
// say the same.

namespace stickmesh::sim {
namespace {

// Between what the recorder did and what HAProxy did about it.
constexpr Duration kTolerance{250};

std::vector<std::byte> from_hex(const std::string& text) {
  std::vector<std::byte> bytes;
  for (std::size_t at = 0; at + 1 < text.size(); at += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoi(text.substr(at, 2), nullptr, 16)));
  }
  return bytes;
}

class Replay {
 public:
  explicit Replay(const std::filesystem::path& recording) {
    std::ifstream file(recording);
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with("# size")) {
        configure(line);
      } else if (!line.starts_with('#')) {
        act(line);
      }
    }
  }

  struct Connection {
    std::vector<std::byte> recorded;
    std::vector<std::byte> played;
  };
  const std::vector<Connection>& connections() const { return connections_; }

 private:
  /// "# size 1k expire 10m": of the input, in the words of haproxy.cfg; the total's expire is the same.
  void configure(const std::string& line) {
    std::istringstream words(line);
    std::string ignored;
    std::string size;
    std::size_t expire = 0;
    std::string unit;
    words >> ignored >> ignored >> size >> ignored >> expire >> unit;
    const Duration each = unit == "m" ? std::chrono::minutes(1) : std::chrono::seconds(1);
    section_.name = "lb1";
    section_.agent = "agent-1";
    section_.input = definition_of("/http", static_cast<Duration::rep>(expire) * each);
    section_.total = definition_of("/http.total", section_.input.expire);
    section_.input_size = size == "1k" ? 1024 : std::stoul(size);
    section_.total_size = section_.input_size;
  }

  void act(const std::string& line) {
    std::istringstream words(line);
    Duration::rep milliseconds = 0;
    std::string what;
    words >> milliseconds >> what;
    now_ = TimePoint(Duration(1'000'000 + milliseconds));
    std::string detail;
    if (what == "start") {
      words >> detail;
      start(detail == "cold" ? Process::Start::kCold : Process::Start::kBesideOld);
    } else if (what == "set") {
      set(words);
    } else if (what == "taught") {
      LocalLesson(*old_, *process_).teach(1000, now_);
    } else if (what == "dial") {
      connections_.emplace_back();
      dialled_ = process_.get();
      dialled_->dial(now_);
    } else if (what == "up") {
      words >> detail;
      const std::vector<std::byte> said = from_hex(detail);
      connections_.back().recorded.insert(connections_.back().recorded.end(), said.begin(), said.end());
    } else if (what == "down") {
      words >> detail;
      ASSERT_TRUE(dialled_->session()->receive(from_hex(detail), now_)) << line;
    } else if (what == "end" && dialled_ != nullptr) {
      std::exchange(dialled_, nullptr)->connection_lost(now_);
    }
    process_->run(now_);
    if (dialled_ != nullptr) collect(*dialled_);
  }

  void start(Process::Start how) {
    old_ = std::move(process_);
    process_ = std::make_unique<Process>(section_, 1, how, now_);
  }

  void set(std::istringstream& words) {
    std::string key;
    words >> key;
    StickTable& table = process_->input();
    table.purge(now_);
    StickTable::Entry& entry = *table.get(key, now_);
    for (std::string setting; words >> setting;) {
      const std::size_t equals = setting.find('=');
      const auto value = static_cast<std::uint32_t>(std::stoul(setting.substr(equals + 1)));
      const std::string type = setting.substr(0, equals);
      if (type == "gpt0") entry.values.gpt0 = value;
      if (type == "conn_cur") entry.values.conn_cur = value;
      if (type == "http_req_cnt") entry.values.http_req_cnt = value;
      if (type == "http_req_rate") entry.values.http_req_rate = {tick(now_) & ~1U, value, 0};
    }
    table.touch(entry, now_);
  }

  void collect(Process& process) {
    peers::PeerSession& session = *process.session();
    while (!session.pending().empty()) {
      const Bytes said = session.pending();
      connections_.back().played.insert(connections_.back().played.end(), said.begin(), said.end());
      session.sent(said.size(), now_);
      process.run(now_);
    }
  }

  Section section_;
  TimePoint now_{};
  std::unique_ptr<Process> old_;
  std::unique_ptr<Process> process_;
  Process* dialled_ = nullptr;
  std::vector<Connection> connections_;
};

std::string words(const std::vector<Said>& all) {
  std::string text;
  for (const Said& said : all) text += said.words + "\n";
  return text;
}

void expect_near(const std::optional<Duration>& recorded, const std::optional<Duration>& played,
                 const std::string& what) {
  ASSERT_EQ(recorded.has_value(), played.has_value()) << what;
  if (recorded) {
    EXPECT_LE(std::chrono::abs(*recorded - *played), kTolerance) << what;
  }
}

class RecordedTest : public testing::TestWithParam<std::string> {};

TEST_P(RecordedTest, TheModelSaysWhatHaproxySaid) {
  const Replay replay(std::filesystem::path(STICKMESH_RECORDED_DIR) / GetParam());
  ASSERT_FALSE(replay.connections().empty());
  for (const Replay::Connection& connection : replay.connections()) {
    const std::vector<Said> recorded = decode_said(connection.recorded);
    const std::vector<Said> played = decode_said(connection.played);
    ASSERT_EQ(words(recorded), words(played));
    for (std::size_t index = 0; index < recorded.size(); ++index) {
      expect_near(recorded[index].remaining, played[index].remaining, recorded[index].words);
      expect_near(recorded[index].age, played[index].age, recorded[index].words);
    }
  }
}

std::vector<std::string> recordings() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(STICKMESH_RECORDED_DIR)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Haproxy, RecordedTest, testing::ValuesIn(recordings()), [](const auto& named) {
  std::string name = named.param;
  std::replace_if(
      name.begin(), name.end(), [](char letter) { return letter == '-' || letter == '.'; }, '_');
  return name;
});

}  // namespace
}  // namespace stickmesh::sim
