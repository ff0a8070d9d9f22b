#include "agent/net/listener.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <fstream>
#include <vector>

#include "tests/unit/net/fixture.h"

namespace stickmesh::net {
namespace {

using ::testing::HasSubstr;

using ListenerTest = LoopTest;

UniqueFd dial(const SocketAddress& address) {
  UniqueFd fd(::socket(address.raw()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(fd.get(), address.raw(), address.size()) != 0) fd.reset();
  return fd;
}

TEST_F(ListenerTest, AcceptsNonBlockingCloseOnExecSocketsAndTellsThePeer) {
  std::vector<UniqueFd> accepted;
  std::vector<std::string> peers;
  Listener listener(loop, listen_on(address_of("127.0.0.1:0")).value(),
                    [&](UniqueFd fd, const SocketAddress& peer) {
                      accepted.push_back(std::move(fd));
                      peers.push_back(peer.to_string());
                    });
  ASSERT_NE(listener.address().port(), 0);
  const UniqueFd client = dial(listener.address());
  ASSERT_TRUE(client);
  ASSERT_TRUE(run_until([&] { return accepted.size() == 1; }));
  EXPECT_EQ(peers[0], SocketAddress::local(client.get()).to_string());
  EXPECT_NE(::fcntl(accepted[0].get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(accepted[0].get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_NE(::fcntl(listener.fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(ListenerTest, AcceptsABoundedNumberPerWakeUp) {
  std::vector<UniqueFd> accepted;
  Listener listener(loop, listen_on(address_of("127.0.0.1:0")).value(),
                    [&](UniqueFd fd, const SocketAddress&) { accepted.push_back(std::move(fd)); });
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 40; ++i) clients.push_back(dial(listener.address()));
  loop.run_once();
  EXPECT_LE(accepted.size(), 16U);
  EXPECT_TRUE(run_until([&] { return accepted.size() == clients.size(); }));
}

TEST_F(ListenerTest, APausedListenerLeavesConnectionsInTheQueue) {
  std::vector<UniqueFd> accepted;
  Listener listener(loop, listen_on(address_of("127.0.0.1:0")).value(),
                    [&](UniqueFd fd, const SocketAddress&) {
                      accepted.push_back(std::move(fd));
                      listener.pause();
                    });
  const UniqueFd first = dial(listener.address());
  const UniqueFd second = dial(listener.address());
  ASSERT_TRUE(run_until([&] { return !accepted.empty(); }));
  EXPECT_EQ(accepted.size(), 1U);
  listener.resume();
  EXPECT_TRUE(run_until([&] { return accepted.size() == 2; }));
}

TEST(ListenOnTest, ATakenPortIsRefusedWithAddressReasonAndAdvice) {
  const UniqueFd first = listen_on(address_of("127.0.0.1:0")).value();
  const SocketAddress taken = SocketAddress::local(first.get());
  const Result<UniqueFd> second = listen_on(taken);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().reason, Reason::kSystem);
  EXPECT_THAT(second.error().detail, HasSubstr(taken.to_string()));
  EXPECT_THAT(second.error().detail, HasSubstr("Address already in use"));
  EXPECT_THAT(second.error().detail, HasSubstr("choose another address"));
}

TEST(ListenOnTest, AnAddressOfAnotherHostIsNamed) {
  const Result<UniqueFd> fd = listen_on(address_of("192.0.2.1:10300"));
  ASSERT_FALSE(fd.has_value());
  EXPECT_THAT(fd.error().detail, HasSubstr("no interface of this host"));
}

TEST(ListenOnTest, AStaleUnixSocketIsReplacedALiveOneNot) {
  const TemporaryDirectory directory;
  const SocketAddress path = address_of(directory.file("admin.sock"));
  {
    const Result<UniqueFd> first = listen_on(path);
    ASSERT_TRUE(first.has_value()) << first.error().detail;
    const Result<UniqueFd> second = listen_on(path);
    ASSERT_FALSE(second.has_value());
    EXPECT_THAT(second.error().detail, HasSubstr("another process listens there"));
    EXPECT_TRUE(dial(path));
  }
  EXPECT_FALSE(dial(path));
  const Result<UniqueFd> third = listen_on(path);
  ASSERT_TRUE(third.has_value()) << third.error().detail;
  EXPECT_TRUE(dial(path));
}

TEST(ListenOnTest, AFileThatIsNoSocketIsLeftAlone) {
  const TemporaryDirectory directory;
  const std::string name = directory.file("notes");
  std::ofstream(name) << "precious";
  const Result<UniqueFd> fd = listen_on(address_of(name));
  ASSERT_FALSE(fd.has_value());
  EXPECT_THAT(fd.error().detail, HasSubstr("no socket"));
  EXPECT_TRUE(std::filesystem::is_regular_file(name));
}

TEST(ListenOnTest, AMissingDirectoryIsNamed) {
  const TemporaryDirectory directory;
  const Result<UniqueFd> fd = listen_on(address_of(directory.file("no/admin.sock")));
  ASSERT_FALSE(fd.has_value());
  EXPECT_THAT(fd.error().detail, HasSubstr("create its directory"));
}

TEST(ListenOnTest, SetsModeAndGroupOfAUnixSocket) {
  const TemporaryDirectory directory;
  const std::string name = directory.file("admin.sock");
  const std::string group = std::to_string(::getegid());
  const Result<UniqueFd> fd = listen_on(address_of(name), {.mode = 0620, .group = group});
  ASSERT_TRUE(fd.has_value()) << fd.error().detail;
  struct stat status {};
  ASSERT_EQ(::stat(name.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0620U);
  EXPECT_EQ(status.st_gid, ::getegid());
  const Result<UniqueFd> unknown =
      listen_on(address_of(directory.file("other.sock")), {.group = "no-such-group"});
  ASSERT_FALSE(unknown.has_value());
  EXPECT_THAT(unknown.error().detail, HasSubstr("no group 'no-such-group'"));
}

TEST(ListenOnTest, ListensOnAnAbstractName) {
  const SocketAddress name = address_of("abns@stickmesh-test-" + std::to_string(::getpid()));
  const Result<UniqueFd> fd = listen_on(name);
  ASSERT_TRUE(fd.has_value()) << fd.error().detail;
  EXPECT_TRUE(dial(name));
}

// With no descriptor left, UBSan cannot tell a good object from a bad one: it probes memory through a pipe.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STICKMESH_SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define STICKMESH_SANITIZED 1
#endif

#ifndef STICKMESH_SANITIZED
// Lowers the limit to what is open, so that the next descriptor is one too many.
class DescriptorLimit {
 public:
  DescriptorLimit() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit lower = before_;
    const UniqueFd next(::dup(0));
    lower.rlim_cur = static_cast<rlim_t>(next.get());
    ::setrlimit(RLIMIT_NOFILE, &lower);
  }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST_F(ListenerTest, OutOfDescriptorsItWaitsInsteadOfSpinningAndThenGoesOn) {
  bool accepted = false;
  Listener listener(loop, listen_on(address_of("127.0.0.1:0")).value(),
                    [&](UniqueFd, const SocketAddress&) { accepted = true; });
  const UniqueFd client = dial(listener.address());
  int wakeups = 0;
  {
    const DescriptorLimit limit;
    bool over = false;
    Timer end(loop, [&] { over = true; });
    end.set(loop.now() + Duration(250));
    ASSERT_TRUE(run_until([&] {
      ++wakeups;
      return over;
    }));
    EXPECT_FALSE(accepted);
    EXPECT_LT(wakeups, 20);
  }
  EXPECT_TRUE(run_until([&] { return accepted; }));
}
#endif

}  // namespace
}  // namespace stickmesh::net
