#include "agent/net/connection.h"

#include <gmock/gmock.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <memory>
#include <random>
#include <stdexcept>

#include "agent/net/listener.h"
#include "tests/unit/net/fixture.h"
#include "tests/unit/net/scripted_session.h"

namespace stickmesh::net {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class ConnectionTest : public LoopTest {
 protected:
  ConnectionTest() { open(); }

  void open(Linger linger = {}) {
    auto [near, other] = socket_pair();
    far = std::move(other);
    near_fd = near.get();
    connection = std::make_unique<Connection>(
        loop, std::move(near), SocketAddress(), std::make_unique<ScriptedSession>(script),
        [this](Connection& closed, const Error& why) {
          EXPECT_EQ(&closed, connection.get());
          closes.push_back(why);
          loop.bury(std::move(connection));
        },
        linger);
  }

  void send(std::string_view text) const {
    ASSERT_EQ(::send(far.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  /// What the far end can read now, |limit| bytes at most.
  std::string take(std::size_t limit = 1U << 20U) const {
    std::string text(limit, '\0');
    const ssize_t size = ::recv(far.get(), text.data(), limit, 0);
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return text;
  }
  bool far_sees_the_end() const {
    char byte;
    return ::recv(far.get(), &byte, 1, 0) == 0;
  }
  bool run_until_closed() {
    return run_until([&] { return !closes.empty(); });
  }
  void expect_one_end(Reason reason, std::string_view detail) const {
    ASSERT_EQ(closes.size(), 1U);
    ASSERT_EQ(script.ends.size(), 1U);
    EXPECT_EQ(closes[0].reason, reason);
    EXPECT_THAT(closes[0].detail, HasSubstr(std::string(detail)));
    EXPECT_EQ(script.ends[0].detail, closes[0].detail);
    EXPECT_EQ(connection, nullptr);
  }

  Script script;
  std::vector<Error> closes;
  UniqueFd far;
  int near_fd = -1;
  std::unique_ptr<Connection> connection;
};

TEST_F(ConnectionTest, WritesWhatIsPendingFromTheStart) {
  script.output = "hello";
  std::string seen;
  EXPECT_TRUE(run_until([&] {
    seen += take();
    return seen == "hello";
  }));
}

TEST_F(ConnectionTest, EchoesMegabytesToASlowReaderThroughPartialWritesAndBackPressure) {
  constexpr std::size_t kSize = 5U << 20U;
  constexpr std::size_t kHighWater = 100000;
  const int small = 4096;
  ASSERT_EQ(::setsockopt(near_fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
  std::string sent(kSize, '\0');
  std::minstd_rand random(1);
  for (char& byte : sent) byte = static_cast<char>(random());
  std::size_t most_pending = 0;
  script.on_receive = [&](std::string_view in) -> Result<void> {
    script.output += in;
    return {};
  };
  script.wants_input = [&] {
    const std::size_t pending = connection->session().pending().size();
    most_pending = std::max(most_pending, pending);
    return pending < kHighWater;
  };

  std::string echoed;
  std::size_t written = 0;
  Deferred pump(loop, [&] {
    const ssize_t size = ::send(far.get(), sent.data() + written, kSize - written, MSG_NOSIGNAL);
    if (size > 0) written += static_cast<std::size_t>(size);
    echoed += take(7001);
    pump.schedule();
  });
  pump.schedule();
  ASSERT_TRUE(run_until([&] { return echoed.size() == kSize; }, 60s));
  EXPECT_EQ(echoed, sent);
  EXPECT_LE(most_pending, kHighWater + 65536);
  EXPECT_GT(script.sends.size(), kSize / 65536) << "no write was partial";
  EXPECT_TRUE(script.ends.empty());
}

TEST_F(ConnectionTest, ReadsOneBufferPerWakeUp) {
  const int big = 1 << 20;
  ASSERT_EQ(::setsockopt(far.get(), SOL_SOCKET, SO_SNDBUF, &big, sizeof big), 0);
  send(std::string(150000, 'x'));
  ASSERT_TRUE(run_until([&] { return !script.receives.empty(); }));
  EXPECT_EQ(script.receives.size(), 1U);
  EXPECT_LE(script.receives[0], 65536U);
  EXPECT_TRUE(run_until([&] { return script.received.size() == 150000; }));
}

TEST_F(ConnectionTest, DoesNotReadWhileTheSessionWantsNoInput) {
  bool hungry = false;
  script.wants_input = [&] { return hungry; };
  send("food");
  bool late = false;
  Timer timer(loop, [&] { late = true; });
  timer.set(loop.now() + 5ms);
  ASSERT_TRUE(run_until([&] { return late; }));
  EXPECT_EQ(script.received, "");
  hungry = true;
  script.wake();
  EXPECT_TRUE(run_until([&] { return script.received == "food"; }));
}

TEST_F(ConnectionTest, ManyWakeUpsMakeOneWrite) {
  loop.run_once();
  Timer timer(loop, [&] {
    for (int i = 0; i < 100; ++i) {
      script.output += "x";
      script.wake();
    }
    EXPECT_TRUE(script.sends.empty()) << "a wake-up must not write under its caller";
  });
  timer.set(loop.now());
  ASSERT_TRUE(run_until([&] { return !script.sends.empty(); }));
  EXPECT_EQ(script.sends, (std::vector<std::size_t>{100}));
}

TEST_F(ConnectionTest, AWakeUpFromInsideReceiveIsHarmless) {
  script.on_receive = [&](std::string_view) -> Result<void> {
    script.output += "answer";
    script.wake();
    return {};
  };
  send("question");
  ASSERT_TRUE(run_until([&] { return !script.sends.empty(); }));
  EXPECT_EQ(take(), "answer");
  EXPECT_EQ(script.sends.size(), 1U);
}

TEST_F(ConnectionTest, ExpiresAtTheDeadlineAndNotBefore) {
  loop.refresh();
  const TimePoint due = loop.now() + 10ms;
  script.deadline = due;
  TimePoint at{};
  script.on_expire = [&](TimePoint now) -> Result<void> {
    at = now;
    return {};
  };
  ASSERT_TRUE(run_until([&] { return script.expiries == 1; }));
  EXPECT_GE(at, due);
}

TEST_F(ConnectionTest, FollowsADeadlineThatMovesEitherWay) {
  loop.refresh();
  script.deadline = loop.now() + 20ms;
  loop.run_once();
  const TimePoint later = loop.now() + 40ms;
  script.deadline = later;
  script.wake();
  TimePoint at{};
  script.on_expire = [&](TimePoint now) -> Result<void> {
    at = now;
    return {};
  };
  ASSERT_TRUE(run_until([&] { return script.expiries == 1; }));
  EXPECT_GE(at, later);
  script.deadline = loop.now() + 1h;
  script.wake();
  loop.run_once();
  script.deadline = loop.now() + 1ms;
  script.wake();
  EXPECT_TRUE(run_until([&] { return script.expiries == 2; }));
}

TEST_F(ConnectionTest, AnErrorFromExpireClosesAfterWriting) {
  script.deadline = loop.now();
  script.on_expire = [&](TimePoint) {
    script.output = "bye";
    return refuse(Reason::kIdleTimeout, "silent");
  };
  ASSERT_TRUE(run_until_closed());
  expect_one_end(Reason::kIdleTimeout, "silent");
  EXPECT_EQ(take(), "bye");
  EXPECT_TRUE(far_sees_the_end());
}

TEST_F(ConnectionTest, AnErrorFromReceiveClosesAfterWriting) {
  script.on_receive = [&](std::string_view) {
    script.output = "error frame";
    return refuse(Reason::kBadHello, "nonsense");
  };
  send("x");
  ASSERT_TRUE(run_until_closed());
  expect_one_end(Reason::kBadHello, "nonsense");
  EXPECT_EQ(take(), "error frame");
}

TEST_F(ConnectionTest, ASessionThatIsOverIsClosedOnceEverythingIsWritten) {
  const int small = 4096;
  ASSERT_EQ(::setsockopt(near_fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
  constexpr std::size_t kSize = 1U << 20U;
  script.output.assign(kSize, 'z');
  script.close_reason = Error{Reason::kReplacedSession, "by the test"};
  send("not read any more");
  std::string seen;
  Deferred pump(loop, [&] {
    seen += take(9000);
    pump.schedule();
  });
  pump.schedule();
  ASSERT_TRUE(run_until([&] { return seen.size() == kSize; }));
  ASSERT_TRUE(run_until_closed());
  expect_one_end(Reason::kReplacedSession, "by the test");
  EXPECT_EQ(script.received, "");
}

TEST_F(ConnectionTest, AReaderOfSingleBytesDoesNotKeepASessionThatIsOver) {
  connection.reset();
  script.ends.clear();
  open({.quiet = 1h, .whole = 50ms});
  const int small = 4096;
  ASSERT_EQ(::setsockopt(near_fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
  script.output.assign(16U << 20U, 'z');
  script.close_reason = Error{Reason::kReplacedSession, "by the test"};
  Deferred pump(loop, [&] {
    take(1);
    pump.schedule();
  });
  pump.schedule();
  ASSERT_TRUE(run_until_closed());
  expect_one_end(Reason::kNotReading, "the last bytes were not taken");
}

TEST_F(ConnectionTest, CloseFromInsideReceiveWaitsForTheCallToReturn) {
  script.on_receive = [&](std::string_view) -> Result<void> {
    connection->close({Reason::kUnknownPeer, "go away"});
    EXPECT_TRUE(closes.empty());
    EXPECT_TRUE(script.ends.empty());
    script.output = "last words";
    return {};
  };
  send("x");
  ASSERT_TRUE(run_until_closed());
  expect_one_end(Reason::kUnknownPeer, "go away");
  EXPECT_EQ(take(), "last words");
}

TEST_F(ConnectionTest, CloseFromOutsideWritesOnceAndEndsAtOnce) {
  script.output = "bye";
  connection->close({Reason::kReplacedSession, "newer"});
  expect_one_end(Reason::kReplacedSession, "newer");
  EXPECT_EQ(take(), "bye");
}

TEST_F(ConnectionTest, ClosedIsCalledOnceEvenWhenItClosesAgain) {
  script.on_closed = [&] {
    connection->close({Reason::kSystem, "again"});
    script.wake();
  };
  connection->close({Reason::kReplacedSession, "newer"});
  expect_one_end(Reason::kReplacedSession, "newer");
  loop.run();
  EXPECT_EQ(script.ends.size(), 1U);
}

TEST_F(ConnectionTest, TheOtherSideClosing) {
  send("last");
  far.reset();
  ASSERT_TRUE(run_until_closed());
  EXPECT_EQ(script.received, "last");
  expect_one_end(Reason::kConnectionLost, "closed by the other side");
}

TEST_F(ConnectionTest, AHalfClosedConnectionStillGetsItsAnswer) {
  script.wants_input = [&] { return script.received.empty(); };
  send("question");
  ::shutdown(far.get(), SHUT_WR);
  ASSERT_TRUE(run_until([&] { return !script.received.empty(); }));
  script.output = "answer";
  script.close_reason = Error{Reason::kConnectionLost, "answered"};
  script.wake();
  ASSERT_TRUE(run_until_closed());
  expect_one_end(Reason::kConnectionLost, "answered");
  EXPECT_EQ(take(), "answer");
}

TEST_F(ConnectionTest, WritingToNobodyEndsWithTheSystemsWords) {
  script.wants_input = [] { return false; };
  far.reset();
  script.output = "anyone?";
  script.wake();
  ASSERT_TRUE(run_until_closed());
  expect_one_end(Reason::kConnectionLost, "Broken pipe");
}

TEST_F(ConnectionTest, AnExceptionClosesThisConnectionOnly) {
  script.on_receive = [](std::string_view) -> Result<void> {
    throw std::runtime_error("as intended by the test");
  };
  send("x");
  ASSERT_TRUE(run_until_closed());
  expect_one_end(Reason::kSystem, "internal error");
}

TEST_F(ConnectionTest, DestroyingAnOpenConnectionTellsTheSessionAndNotTheOwner) {
  loop.run_once();
  connection.reset();
  EXPECT_TRUE(closes.empty());
  EXPECT_EQ(script.ends.size(), 1U);
}

TEST_F(ConnectionTest, AResetIsNamed) {
  const UniqueFd listening = listen_on(SocketAddress::parse("127.0.0.1:0").value()).value();
  const SocketAddress where = SocketAddress::local(listening.get());
  UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::connect(client.get(), where.raw(), where.size()), 0);
  UniqueFd accepted(::accept4(listening.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  const int fd = accepted.get();
  Script other;
  std::vector<Error> ends;
  Connection tcp(loop, std::move(accepted), where, std::make_unique<ScriptedSession>(other),
                 [&](Connection&, const Error& why) { ends.push_back(why); });
  int no_delay = 0;
  socklen_t size = sizeof no_delay;
  ASSERT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &size), 0);
  EXPECT_NE(no_delay, 0);
  loop.run_once();
  const linger now{1, 0};
  ASSERT_EQ(::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
  client.reset();
  ASSERT_TRUE(run_until([&] { return !ends.empty(); }));
  EXPECT_THAT(ends[0].detail, HasSubstr("Connection reset by peer"));
  EXPECT_FALSE(tcp.is_open());
}

TEST_F(ConnectionTest, SuspendedItIsStillUntilItIsResumed) {
  loop.run_once();
  connection->suspend();
  send("question");
  script.output = "answer";
  script.wake();
  script.deadline = loop.now();
  connection->close({Reason::kConnectionLost, "asked to"});
  bool over = false;
  Timer timer(loop, [&] { over = true; });
  timer.set(loop.now() + 50ms);
  run_until([&] { return over; });
  EXPECT_EQ(script.received, "");
  EXPECT_EQ(take(), "");
  EXPECT_EQ(script.expiries, 0);
  EXPECT_TRUE(closes.empty());
  connection->resume();
  ASSERT_TRUE(run_until_closed());
  EXPECT_EQ(take(), "answer");
  expect_one_end(Reason::kConnectionLost, "asked to");
}

}  // namespace
}  // namespace stickmesh::net
