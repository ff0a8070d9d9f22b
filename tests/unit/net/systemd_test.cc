#include "agent/net/systemd.h"

#include <sys/resource.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>

#include "agent/net/socket_address.h"
#include "tests/unit/net/fixture.h"

namespace stickmesh::net {
namespace {

class NotifyTest : public ::testing::Test {
 protected:
  ~NotifyTest() override { ::unsetenv("NOTIFY_SOCKET"); }

  void bind_to(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, path.size());
    if (path.front() == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    receiver.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(receiver.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }

  std::string received() const {
    char buffer[256];
    const ssize_t size = ::recv(receiver.get(), buffer, sizeof buffer, 0);
    return size < 0 ? "" : std::string(buffer, static_cast<std::size_t>(size));
  }

  UniqueFd receiver;
};

TEST_F(NotifyTest, SendsOneDatagramToThePath) {
  const TemporaryDirectory directory;
  bind_to(directory.file("notify"));
  ASSERT_TRUE(Notifier().send("READY=1\nSTATUS=ready").has_value());
  EXPECT_EQ(received(), "READY=1\nSTATUS=ready");
}

TEST_F(NotifyTest, KnowsAbstractNames) {
  bind_to("@stickmesh-notify-" + std::to_string(::getpid()));
  ASSERT_TRUE(Notifier().send("STOPPING=1").has_value());
  EXPECT_EQ(received(), "STOPPING=1");
}

TEST_F(NotifyTest, IsSilentWhenNobodyAskedAndSaysWhyItFailed) {
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(Notifier().send("READY=1").has_value());
  ::setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
  EXPECT_FALSE(Notifier().send("READY=1").has_value());
  ::setenv("NOTIFY_SOCKET", "vsock:2:1", 1);
  EXPECT_FALSE(Notifier().send("READY=1").has_value());
}

TEST_F(NotifyTest, NeedsNoDescriptorLater) {
  const TemporaryDirectory directory;
  bind_to(directory.file("notify"));
  const Notifier notifier;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const bool told = notifier.send("WATCHDOG=1").has_value();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(told);
  EXPECT_EQ(received(), "WATCHDOG=1");
}

}  // namespace
}  // namespace stickmesh::net
