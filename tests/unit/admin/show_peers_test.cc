#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/admin/commands.h"
#include "agent/pipeline/mesh_row.h"
#include "tests/unit/admin/restarts.h"
#include "tests/unit/pipeline/instance.h"

namespace stickmesh::admin {
namespace {

using pipeline::kStart;
using std::chrono::milliseconds;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const TableDefinition kInput = pipeline::counter_table("/http");
const TableDefinition kTotal = pipeline::counter_table("/http.total");

class ShowPeersTest : public ::testing::Test {
 protected:
  explicit ShowPeersTest(pipeline::HubSetup setup = pipeline::Agent::default_setup())
      : agent_(std::move(setup)) {}
  std::string ask(std::string_view line, TimePoint now = kStart) {
    auto answer = commands_.run(line, now);
    std::string out;
    while (answer->more(out, now)) {
    }
    return out;
  }
  /// The value of |column| in |name|'s row of `show peers`.
  std::string column(const std::string& name, const std::string& column, TimePoint now = kStart) {
    const std::vector<std::string> lines = split(ask("show peers", now), '\n');
    const std::vector<std::string> columns = split(lines[0].substr(2), '\t');
    const auto at = std::find(columns.begin(), columns.end(), column) - columns.begin();
    for (const std::string& line : lines) {
      if (line.starts_with(name + "\t")) return split(line, '\t').at(static_cast<std::size_t>(at));
    }
    return "no such row";
  }
  static std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts(1);
    for (const char c : text) {
      if (c == separator) {
        parts.emplace_back();
      } else {
        parts.back() += c;
      }
    }
    return parts;
  }

  pipeline::Agent agent_;
  Restarts restarts_;
  Commands commands_{agent_.hub, restarts_, kStart};
};

class ShowAgentsTest : public ShowPeersTest {
 protected:
  ShowAgentsTest() : ShowPeersTest(setup()) {}
  static pipeline::HubSetup setup() {
    pipeline::HubSetup setup = pipeline::Agent::default_setup();
    setup.peers.push_back({"agent-2", pipeline::PeerKind::kAgent, {}, {}, 9});
    return setup;
  }
};

TEST_F(ShowPeersTest, ATableIsShownInBothDirectionsWithWhatWasPushedAndAcknowledged) {
  pipeline::Instance lb1(agent_.hub, "lb1", 10, kStart);
  lb1.push(1, kInput, "joe", 7, {3});
  lb1.session().select(2, kTotal);
  lb1.exchange(kStart);
  lb1.exchange(kStart + milliseconds(30));
  const std::string text = ask("show peers lb1", kStart + milliseconds(30));
  EXPECT_THAT(text, StartsWith("Name: lb1\nKind: haproxy\nExpected: yes\nDirection: in\nState: synchronised\n"
                               "Pid: 10\n"));
  EXPECT_THAT(text,
              HasSubstr("\nHome: here\nTotals_from: this agent\nNote: -\nHeard_sec: 0.0\nBacklog: 0\n"));
  EXPECT_THAT(text, HasSubstr("\n# table\tdirection\tuse\tlast_pushed\tlast_acked\tbacklog\n"));
  EXPECT_THAT(text, HasSubstr("\n/http\tin\tcounted\t7\t7\t-\n"));
  EXPECT_THAT(text, HasSubstr("\n/http.total\tin\ttotal\t0\t0\t-\n"));
  EXPECT_THAT(text, HasSubstr("\n/http.total\tout\ttotal\t1\t1\t0\n"));
}

TEST_F(ShowPeersTest, WhatTheInstanceHasNotAcknowledgedIsSeen) {
  pipeline::Instance lb1(agent_.hub, "lb1", 10, kStart);
  lb1.acknowledges = false;
  lb1.push(1, kInput, "joe", 7, {3});
  lb1.session().select(2, kTotal);
  lb1.exchange(kStart);
  lb1.exchange(kStart + milliseconds(30));
  EXPECT_THAT(ask("show peers lb1"), HasSubstr("\n/http.total\tout\ttotal\t1\t0\t0\n"));
}

TEST_F(ShowPeersTest, WhatWaitsForAnInstanceThatDoesNotReadIsSeen) {
  constexpr std::uint32_t kKeys = 20'000;
  pipeline::Instance lb1(agent_.hub, "lb1", 10, kStart);
  pipeline::Instance lb2(agent_.hub, "lb2", 20, kStart);
  lb1.session().select(2, kTotal);
  lb1.exchange(kStart);
  for (std::uint32_t key = 1; key <= kKeys; ++key) lb2.push(1, kInput, std::to_string(key), key, {3});
  lb2.exchange(kStart + milliseconds(30));
  EXPECT_THAT(ask("show peers lb1"),
              ContainsRegex("\n/http.total\tout\ttotal\t[1-9][0-9]*\t0\t[1-9][0-9]*\n"));
  EXPECT_NE(column("lb1", "backlog"), "0");
  EXPECT_EQ(column("lb2", "backlog"), "0") << "it has no table of totals";
  lb1.exchange(kStart + milliseconds(60));
  EXPECT_THAT(ask("show peers lb1"), HasSubstr("\n/http.total\tout\ttotal\t20000\t20000\t0\n"));
  EXPECT_EQ(column("lb1", "backlog"), "0");
}

TEST_F(ShowPeersTest, ResyncsAreCountedByWhoAsked) {
  pipeline::Instance lb1(agent_.hub, "lb1", 10, kStart);
  EXPECT_EQ(column("lb1", "resyncs_out"), "1") << "each session is asked for a lesson";
  EXPECT_EQ(column("lb1", "resyncs_in"), "0");
  lb1.session().request_lesson(kStart);
  lb1.exchange(kStart);
  EXPECT_EQ(column("lb1", "resyncs_in"), "1");
  EXPECT_EQ(lb1.lessons_ended, 1);
  const std::string text = ask("show peers lb1");
  EXPECT_THAT(text, HasSubstr("\nResyncs_in: 1\nResyncs_in_answered: 1\n"));
  EXPECT_THAT(text, ContainsRegex("Resyncs_out: ([0-9]+)\nResyncs_out_answered: [1-9]"));
  EXPECT_EQ(column("lb1", "resyncs_out"), std::to_string(lb1.lessons_asked));
}

TEST_F(ShowAgentsTest, WhoIsHomeToAnInstanceIsShownFromBothSides) {
  pipeline::Instance lb1(agent_.hub, "lb1", 10, kStart);
  pipeline::Instance fellow(agent_.hub, "agent-2", 77, kStart);
  pipeline::OriginRow row;
  row.home = true;
  row.generation = 1;
  row.process = 42;
  const pipeline::MeshCells cells = pipeline::encode_row(row);
  std::uint32_t number = 0;
  for (const char* name : {"lb1", "lb2"}) {
    fellow.push(1, pipeline::mesh_definition(), name, ++number, {cells.begin(), cells.end()});
  }
  fellow.exchange(kStart);
  EXPECT_EQ(column("lb1", "home"), "here,agent-2");
  EXPECT_EQ(column("lb2", "home"), "agent-2");
  EXPECT_EQ(column("lb3", "home"), "-");
  EXPECT_EQ(column("agent-2", "home"), "lb1,lb2");
  const std::string text = ask("show peers agent-2");
  EXPECT_THAT(text, HasSubstr("\nKind: agent\n"));
  EXPECT_THAT(text, HasSubstr("\nHome: lb1,lb2\nHome_here: lb1\n"));
  EXPECT_THAT(text, HasSubstr("\n@mesh\tin\tagents\t2\t2\t-\n"));
  EXPECT_THAT(text, ContainsRegex("\n@mesh\tout\tagents\t([1-9][0-9]*)\t[1-9][0-9]*\t-\n"));
}

TEST_F(ShowAgentsTest, TablesOfAnAgentAreShownByOrigin) {
  pipeline::Instance lb1(agent_.hub, "lb1", 10, kStart);
  pipeline::Instance fellow(agent_.hub, "agent-2", 77, kStart);
  EXPECT_THAT(ask("show peers agent-2"), HasSubstr("\nLearns: -\nTeaches: -\n"));
  fellow.session().request_lesson(kStart);
  fellow.exchange(kStart);
  lb1.push(1, kInput, "joe", 7, {3});
  lb1.push(1, kInput, "amy", 8, {3});
  lb1.exchange(kStart);
  fellow.exchange(kStart);
  const std::string text = ask("show peers agent-2");
  EXPECT_THAT(text, HasSubstr("\nLearns: -\nTeaches: everything\n"));
  EXPECT_THAT(text, HasSubstr("\nhttp\tout\tall origins\t2\t-\t0\n"));
  EXPECT_THAT(text, HasSubstr("\nhttp@lb1\tout\tone origin\t2\t2\t-\n"));
}

TEST_F(ShowPeersTest, APeerWithoutASessionHasNoTablesAndAnUnknownOneIsAnError) {
  const std::string text = ask("show peers lb2");
  EXPECT_THAT(text, HasSubstr("\nDirection: -\nState: never connected\n"));
  EXPECT_THAT(text, HasSubstr("\nHeard_sec: -\n"));
  EXPECT_THAT(text, Not(HasSubstr("# table")));
  EXPECT_THAT(ask("show peers nobody"), StartsWith("error: not-found: there is no peer 'nobody'"));
}

TEST_F(ShowAgentsTest, EveryRowHasEveryColumn) {
  pipeline::Instance lb1(agent_.hub, "lb1", 10, kStart);
  pipeline::Instance web7(agent_.hub, "web7", 10, kStart);
  std::vector<std::string> lines = split(ask("show peers"), '\n');
  ASSERT_EQ(lines.back(), "");
  lines.pop_back();
  ASSERT_EQ(lines.size(), 6U);
  for (const std::string& line : lines)
    EXPECT_EQ(split(line, '\t').size(), split(lines[0], '\t').size()) << line;
}

}  // namespace
}  // namespace stickmesh::admin
