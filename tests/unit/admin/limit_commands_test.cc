#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/admin/commands.h"
#include "tests/unit/admin/restarts.h"
#include "tests/unit/pipeline/instance.h"

namespace stickmesh::admin {
namespace {

using pipeline::kStart;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class LimitCommandsTest : public ::testing::Test {
 protected:
  static pipeline::HubSetup setup() {
    pipeline::HubSetup setup = pipeline::Agent::default_setup();
    setup.limits = {{"api", "http", DataType::kHttpReqRate, {100, false}}};
    return setup;
  }
  std::string ask(std::string_view line) {
    std::string out;
    const auto answer = commands_.run(line, kStart);
    while (answer->more(out, kStart)) {
    }
    return out;
  }
  std::string row() {
    const std::string text = ask("show limits");
    return text.substr(text.find('\n') + 1);
  }

  pipeline::Agent agent_{setup()};
  Restarts restarts_;
  Commands commands_{agent_.hub, restarts_, kStart};
};

TEST_F(LimitCommandsTest, ShowsWhatIsInForceBesideTheConfig) {
  EXPECT_THAT(ask("show limits"), StartsWith("# name\ttable\ttype\tabove\tmode\tset_by\tconfigured_above\t"));
  EXPECT_EQ(row(), "api\thttp\thttp_req_rate\t100\tenforce\tconfig\t100\tenforce\n");
  ask("set limit api 200");
  ask("set limit api shadow");
  EXPECT_EQ(row(), "api\thttp\thttp_req_rate\t200\tshadow\truntime\t100\tenforce\n");
  EXPECT_EQ(ask("set limit api config"), "api: above 100, enforce, as configured\n");
  EXPECT_EQ(row(), "api\thttp\thttp_req_rate\t100\tenforce\tconfig\t100\tenforce\n");
}

TEST_F(LimitCommandsTest, TheAnswerHasTheLinesToPaste) {
  EXPECT_EQ(
      ask("set limit api 200"),
      "api: above 200, enforce, at all agents and instances, also after a restart; in stickmesh.toml it is "
      "above 100, enforce. To have it there:\n"
      "[[limit]]\nname = \"api\"\ntable = \"http\"\ntype = \"http_req_rate\"\nabove = 200\nmode = "
      "\"enforce\"\n");
}

TEST_F(LimitCommandsTest, MistakesChangeNothing) {
  EXPECT_THAT(ask("set limit none 1"),
              HasSubstr("error: not-found: there is no [[limit]] name = \"none\" in stickmesh.toml"));
  for (const char* line : {"set limit", "set limit api", "set limit api -1", "set limit api 4294967296",
                           "set limit api 1x", "set limit api 1 2", "set limit api off"}) {
    EXPECT_THAT(ask(line), StartsWith("error: bad-command: ")) << line;
  }
  EXPECT_EQ(row(), "api\thttp\thttp_req_rate\t100\tenforce\tconfig\t100\tenforce\n");
}

}  // namespace
}  // namespace stickmesh::admin
