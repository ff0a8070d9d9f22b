#include "agent/net/connection_set.h"

#include <vector>

#include "tests/unit/net/fixture.h"
#include "tests/unit/net/scripted_session.h"

namespace stickmesh::net {
namespace {

class ConnectionSetTest : public LoopTest {
 protected:
  UniqueFd add(Script& script) {
    auto [near, far] = socket_pair();
    set.add(std::move(near), SocketAddress(), std::make_unique<ScriptedSession>(script),
            [this](Connection&, const Error& why) { ends.push_back(why.detail); });
    return std::move(far);
  }

  Script first, second;
  std::vector<std::string> ends;
  ConnectionSet set{loop};
};

TEST_F(ConnectionSetTest, LetsGoOfConnectionsThatEnd) {
  UniqueFd far = add(first);
  const UniqueFd other = add(second);
  EXPECT_EQ(set.size(), 2U);
  far.reset();
  ASSERT_TRUE(run_until([&] { return set.size() == 1; }));
  EXPECT_EQ(ends.size(), 1U);
  EXPECT_TRUE(second.ends.empty());
}

TEST_F(ConnectionSetTest, ClosesAllEvenWhenOneEndsAnother) {
  const UniqueFd far = add(first);
  const UniqueFd other = add(second);
  first.on_closed = second.on_closed = [&] { set.close_all({Reason::kConnectionLost, "nested"}); };
  set.close_all({Reason::kConnectionLost, "the agent stops"});
  EXPECT_EQ(set.size(), 0U);
  EXPECT_EQ(ends.size(), 2U);
  EXPECT_EQ(first.ends.size(), 1U);
  EXPECT_EQ(second.ends.size(), 1U);
}

}  // namespace
}  // namespace stickmesh::net
