#include "agent/daemon/service_manager.h"

#include <gtest/gtest.h>
#include <sys/un.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/unit/net/fixture.h"

namespace stickmesh::daemon {
namespace {

class ServiceManagerTest : public net::LoopTest {
 protected:
  ServiceManagerTest() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = directory.file("notify");
    path.copy(address.sun_path, path.size());
    receiver.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(receiver.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~ServiceManagerTest() override {
    ::unsetenv("NOTIFY_SOCKET");
    ::unsetenv("WATCHDOG_USEC");
  }

  std::vector<std::string> heard() const {
    std::vector<std::string> messages;
    char buffer[1000];
    for (ssize_t size = 0; (size = ::recv(receiver.get(), buffer, sizeof buffer, 0)) >= 0;)
      messages.emplace_back(buffer, static_cast<std::size_t>(size));
    return messages;
  }

  /// Until it has been heard as often.
  bool run_until_beats(std::size_t times) {
    std::size_t beats = 0;
    return run_until([&] {
      const std::vector<std::string> messages = heard();
      beats += static_cast<std::size_t>(std::count(messages.begin(), messages.end(), "WATCHDOG=1"));
      return beats >= times;
    });
  }

  const net::TemporaryDirectory directory;
  net::UniqueFd receiver;
};

using Messages = std::vector<std::string>;

TEST_F(ServiceManagerTest, AStatusIsOneLineThatSystemdTakes) {
  ServiceManager manager(loop);
  manager.status("broken\nREADY=1\r\n\xc3\xa4 \xff");
  manager.status(std::string(1000, 'x'));
  EXPECT_EQ(heard(), (Messages{"STATUS=broken READY=1? ?? ?", "STATUS=" + std::string(400, 'x') + "..."}));
}

TEST_F(ServiceManagerTest, WithoutAWatchdogItIsSilent) {
  ServiceManager manager(loop);
  manager.ready("fine");
  EXPECT_EQ(heard(), Messages{"READY=1\nSTATUS=fine"});
  EXPECT_FALSE(loop.run_once()) << "nothing is left to wait for";
}

TEST_F(ServiceManagerTest, OnlyTheOneInChargeAnswersTheWatchdog) {
  ::setenv("WATCHDOG_USEC", "4000", 1);
  ServiceManager manager(loop);
  EXPECT_EQ(heard(), Messages{}) << "not yet";
  manager.ready("fine");
  EXPECT_EQ(heard(), (Messages{"READY=1\nSTATUS=fine", "WATCHDOG=1"}));
  EXPECT_TRUE(run_until_beats(3));

  manager.hand_on(77);
  EXPECT_EQ(heard(), (Messages{"WATCHDOG=1", "MAINPID=77"}));
  EXPECT_FALSE(loop.run_once()) << "nothing is left to wait for";

  manager.take_charge("again");
  EXPECT_EQ(heard(), (Messages{"MAINPID=" + std::to_string(::getpid()) + "\nSTATUS=again", "WATCHDOG=1"}));
  EXPECT_TRUE(run_until_beats(2));
}

TEST_F(ServiceManagerTest, WhatMustNotGetLostIsSaidAgain) {
  ServiceManager manager(loop);
  while (!manager.owes()) manager.ready("fine");
  manager.hand_on(77);
  EXPECT_TRUE(manager.owes());
  (void)heard();
  EXPECT_TRUE(run_until([&] { return !manager.owes(); }));
  EXPECT_EQ(heard(), Messages{"READY=1\nMAINPID=77"});
}

TEST_F(ServiceManagerTest, WhatIsSaidAgainComesWithTheNewestStatus) {
  ServiceManager manager(loop);
  while (!manager.owes()) manager.ready("fine");
  manager.take_charge("fine again");
  manager.status("a soft restart failed");
  (void)heard();
  EXPECT_TRUE(run_until([&] { return !manager.owes(); }));
  EXPECT_EQ(heard(),
            Messages{"READY=1\nMAINPID=" + std::to_string(::getpid()) + "\nSTATUS=a soft restart failed"});
}

TEST_F(ServiceManagerTest, AStopAsksForItsTime) {
  ServiceManager manager(loop);
  manager.stopping("writing the snapshot", std::chrono::seconds(90));
  EXPECT_EQ(heard(), Messages{"STOPPING=1\nSTATUS=writing the snapshot\nEXTEND_TIMEOUT_USEC=90000000"});
}

}  // namespace
}  // namespace stickmesh::daemon
