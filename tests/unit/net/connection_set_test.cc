#include "agent/net/connection_set.h"

#include <list>
#include <vector>

#include "tests/unit/net/fixture.h"
#include "tests/unit/net/scripted_session.h"

namespace stickmesh::net {
namespace {

class ConnectionSetTest : public LoopTest {
 protected:
  UniqueFd add(Script& script, const SocketAddress& peer = {}) {
    auto [near, far] = socket_pair();
    set.add(std::move(near), peer, std::make_unique<ScriptedSession>(script),
            [this](Connection&, const Error& why) { ends.push_back(why.detail); });
    return std::move(far);
  }
  /// A connection from |address| that says nothing.
  Script& add_silent(const char* address) {
    Script& script = silent.emplace_back();
    far_ends.push_back(add(script, *SocketAddress::parse(address)));
    return script;
  }

  Script first, second;
  std::list<Script> silent;
  std::vector<UniqueFd> far_ends;
  std::vector<std::string> ends;
  ConnectionSet set{loop, {.all = 4, .of_one_host = 2}};
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

TEST_F(ConnectionSetTest, OfTooManySilentOnesTheOldestGivesWay) {
  const Script& oldest = add_silent("192.0.2.1:1");
  for (const char* address : {"192.0.2.2:1", "192.0.2.3:1", "192.0.2.4:1"}) add_silent(address);
  EXPECT_EQ(set.size(), 4U);
  add_silent("192.0.2.5:1");
  EXPECT_EQ(set.size(), 4U);
  ASSERT_EQ(oldest.ends.size(), 1U);
  EXPECT_EQ(oldest.ends[0].reason, Reason::kHandshakeTimeout);
}

TEST_F(ConnectionSetTest, AHostTakesRoomFromItself) {
  const Script& other = add_silent("192.0.2.1:1");
  const Script& oldest = add_silent("192.0.2.2:1");
  add_silent("192.0.2.2:2");
  for (int port = 3; port < 1000; ++port) {
    add_silent(("192.0.2.2:" + std::to_string(port)).c_str());
    ASSERT_EQ(set.size(), 3U);
  }
  EXPECT_EQ(oldest.ends.size(), 1U);
  EXPECT_TRUE(other.ends.empty());
}

TEST_F(ConnectionSetTest, ANetworkOfOneHostIsOneHost) {
  const Script& oldest = add_silent("[2001:db8::1]:1");
  const Script& other = add_silent("[2001:db8:0:1::1]:1");
  add_silent("[2001:db8::2]:1");
  EXPECT_TRUE(oldest.ends.empty());
  add_silent("[2001:db8::3]:1");
  EXPECT_EQ(oldest.ends.size(), 1U);
  EXPECT_TRUE(other.ends.empty());
}

TEST_F(ConnectionSetTest, OnesThatWereAnsweredStay) {
  std::vector<Script*> scripts;
  for (int number = 0; number < 10; ++number) {
    scripts.push_back(&add_silent("192.0.2.1:1"));
    scripts.back()->output = "welcome";
    scripts.back()->wake();
    ASSERT_TRUE(run_until([&] { return !scripts.back()->sends.empty(); }));
  }
  EXPECT_EQ(set.size(), 10U);
  add_silent("192.0.2.1:1");
  EXPECT_EQ(set.size(), 11U);
}

TEST_F(ConnectionSetTest, APartOfAHandshakeThatAnybodyIsGivenIsNoAnswer) {
  for (int number = 0; number < 10; ++number) {
    Script& script = add_silent("192.0.2.1:1");
    script.answers = false;
    script.output = "certificate";
    script.wake();
    ASSERT_TRUE(run_until([&] { return !script.sends.empty(); }));
  }
  EXPECT_EQ(set.size(), 2U);
}

}  // namespace
}  // namespace stickmesh::net
