#include <gtest/gtest.h>

#include "agent/admin/commands.h"
#include "tests/unit/admin/restarts.h"
#include "tests/unit/pipeline/instance.h"

namespace stickmesh::admin {
namespace {

using pipeline::kStart;

class TwoConnections : public SpoeSource {
 public:
  SpoeOverview overview(TimePoint now) const override {
    return {{{"Engines", 1}, {"Events_total", 17}},
            {{"127.0.0.1:4000", "an\tengine", "running", now - std::chrono::seconds(5), 16380, 17, 2, 1},
             {"unix", "", "hello", now, 0, 0, 0, 0}}};
  }
};

class ShowSpoeTest : public ::testing::Test {
 protected:
  std::string ask() {
    std::string out;
    const auto answer = commands_.run("show spoe", kStart);
    while (answer->more(out, kStart)) {
    }
    return out;
  }

  pipeline::Agent agent_;
  Restarts restarts_;
  Commands commands_{agent_.hub, restarts_, kStart};
};

TEST_F(ShowSpoeTest, NumbersFirstThenARowForEachConnection) {
  const TwoConnections spoe;
  commands_.set_spoe(spoe);
  EXPECT_EQ(ask(),
            "Engines: 1\nEvents_total: 17\n"
            "# address\tengine\tstate\tage_s\tframe_size\tevents\tnot_ok\tin_flight\n"
            "127.0.0.1:4000\tan engine\trunning\t5.0\t16380\t17\t2\t1\n"
            "unix\t-\thello\t0.0\t0\t0\t0\t0\n");
}

TEST_F(ShowSpoeTest, NothingWithoutAListener) {
  EXPECT_EQ(ask(), "# address\tengine\tstate\tage_s\tframe_size\tevents\tnot_ok\tin_flight\n");
}

}  // namespace
}  // namespace stickmesh::admin
