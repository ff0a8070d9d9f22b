#include "agent/net/signal.h"

#include <csignal>

#include "tests/unit/net/fixture.h"

namespace stickmesh::net {
namespace {

using SignalTest = LoopTest;

TEST_F(SignalTest, ASignalCallsBackFromTheLoop) {
  int seen = 0;
  Signal usr2(loop, SIGUSR2, [&] { ++seen; });
  ASSERT_EQ(::raise(SIGUSR2), 0);
  EXPECT_EQ(seen, 0);
  EXPECT_TRUE(run_until([&] { return seen == 1; }));
}

}  // namespace
}  // namespace stickmesh::net
