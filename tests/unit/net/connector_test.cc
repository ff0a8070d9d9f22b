#include "agent/net/connector.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include <optional>
#include <vector>

#include "agent/net/listener.h"
#include "tests/unit/net/fixture.h"

namespace stickmesh::net {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class ConnectorTest : public LoopTest {
 protected:
  bool run_to_the_end() {
    return run_until([&] { return !outcomes.empty(); });
  }

  std::vector<Result<UniqueFd>> outcomes;
  Connector connector{loop, [this](Result<UniqueFd> outcome) { outcomes.push_back(std::move(outcome)); }};
};

TEST_F(ConnectorTest, HandsOverAConnectedNonBlockingSocket) {
  const UniqueFd listening = listen_on(address_of("127.0.0.1:0")).value();
  const SocketAddress where = SocketAddress::local(listening.get());
  connector.start(where, 5s);
  EXPECT_TRUE(connector.busy());
  EXPECT_TRUE(outcomes.empty());
  ASSERT_TRUE(run_to_the_end());
  ASSERT_TRUE(outcomes[0].has_value()) << outcomes[0].error().detail;
  EXPECT_NE(::fcntl(outcomes[0]->get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_EQ(::send(outcomes[0]->get(), "x", 1, MSG_NOSIGNAL), 1);
  EXPECT_FALSE(connector.busy());
}

TEST_F(ConnectorTest, ConnectsToAUnixSocket) {
  const TemporaryDirectory directory;
  const SocketAddress where = address_of(directory.file("x.sock"));
  const UniqueFd listening = listen_on(where).value();
  connector.start(where, 5s);
  EXPECT_TRUE(outcomes.empty()) << "never from inside start()";
  ASSERT_TRUE(run_to_the_end());
  EXPECT_TRUE(outcomes[0].has_value());
}

TEST_F(ConnectorTest, ARefusalNamesAddressAndReason) {
  UniqueFd listening = listen_on(address_of("127.0.0.1:0")).value();
  const SocketAddress where = SocketAddress::local(listening.get());
  listening.reset();
  connector.start(where, 5s);
  ASSERT_TRUE(run_to_the_end());
  ASSERT_FALSE(outcomes[0].has_value());
  EXPECT_EQ(outcomes[0].error().reason, Reason::kConnectFailed);
  EXPECT_THAT(outcomes[0].error().detail, HasSubstr(where.to_string()));
  EXPECT_THAT(outcomes[0].error().detail, HasSubstr("Connection refused"));
}

TEST_F(ConnectorTest, AMissingUnixSocketFailsFromTheLoop) {
  connector.start(address_of("/nonexistent/x.sock"), 5s);
  EXPECT_TRUE(outcomes.empty());
  ASSERT_TRUE(run_to_the_end());
  EXPECT_FALSE(outcomes[0].has_value());
}

// A listener whose queue is full does not answer: Linux drops the SYN.
TEST_F(ConnectorTest, GivesUpAtTheDeadline) {
  const UniqueFd listening = listen_on(address_of("127.0.0.1:0"), {.backlog = 0}).value();
  const SocketAddress where = SocketAddress::local(listening.get());
  std::vector<UniqueFd> filler;
  for (int i = 0; i < 3; ++i) {
    filler.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    (void)::connect(filler.back().get(), where.raw(), where.size());
  }
  const TimePoint start = loop.now();
  connector.start(where, 30ms);
  ASSERT_TRUE(run_to_the_end());
  ASSERT_FALSE(outcomes[0].has_value());
  EXPECT_THAT(outcomes[0].error().detail, HasSubstr("no answer within 30 ms"));
  EXPECT_GE(loop.now() - start, 30ms);
}

TEST_F(ConnectorTest, ACancelledAttemptIsSilentAndANewOneReplacesTheOld) {
  const UniqueFd listening = listen_on(address_of("127.0.0.1:0")).value();
  const SocketAddress where = SocketAddress::local(listening.get());
  connector.start(address_of("/nonexistent/x.sock"), 5s);
  connector.cancel();
  EXPECT_FALSE(connector.busy());
  connector.start(address_of("/nonexistent/x.sock"), 5s);
  connector.start(where, 5s);
  ASSERT_TRUE(run_to_the_end());
  EXPECT_EQ(outcomes.size(), 1U);
  EXPECT_TRUE(outcomes[0].has_value());
}

TEST_F(ConnectorTest, TheOutcomeMayStartTheNextAttempt) {
  int failures = 0;
  std::optional<Connector> again;
  again.emplace(loop, [&](const Result<UniqueFd>& outcome) {
    if (!outcome && ++failures < 3) again->start(address_of("/nonexistent/x.sock"), 5s);
  });
  again->start(address_of("/nonexistent/x.sock"), 5s);
  EXPECT_TRUE(run_until([&] { return failures == 3; }));
  EXPECT_FALSE(again->busy());
}

}  // namespace
}  // namespace stickmesh::net
