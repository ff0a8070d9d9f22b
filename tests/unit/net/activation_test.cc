#include <fcntl.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <string>

#include "agent/net/systemd.h"
#include "tests/unit/net/fixture.h"

namespace stickmesh::net {
namespace {

using ::testing::HasSubstr;

class WatchdogTest : public ::testing::Test {
 protected:
  ~WatchdogTest() override {
    ::unsetenv("WATCHDOG_USEC");
    ::unsetenv("WATCHDOG_PID");
  }
  static void set(const char* interval, const std::string& pid) {
    ::setenv("WATCHDOG_USEC", interval, 1);
    ::setenv("WATCHDOG_PID", pid.c_str(), 1);
  }
};

TEST_F(WatchdogTest, OfThisProcessIsTakenAndLeftToItsSuccessor) {
  set("3000000", std::to_string(::getpid()));
  EXPECT_EQ(take_watchdog().value(), Duration(3000));
  EXPECT_EQ(std::getenv("WATCHDOG_PID"), nullptr);
  EXPECT_STREQ(std::getenv("WATCHDOG_USEC"), "3000000");
  EXPECT_EQ(take_watchdog().value(), Duration(3000)) << "as the successor would";
}

TEST_F(WatchdogTest, OfAnotherProcessIsNobodysFromHereOn) {
  set("3000000", "1");
  EXPECT_EQ(take_watchdog().value(), std::nullopt);
  EXPECT_EQ(std::getenv("WATCHDOG_USEC"), nullptr);
  EXPECT_EQ(take_watchdog().value(), std::nullopt);
}

TEST_F(WatchdogTest, NumbersThatAreNoneAreNamed) {
  for (const char* interval : {"", "0", "-1", "1s", " 1", "18446744073709551616"}) {
    set(interval, std::to_string(::getpid()));
    const auto taken = take_watchdog();
    ASSERT_FALSE(taken) << interval;
    EXPECT_THAT(taken.error().detail, HasSubstr("WATCHDOG_USEC"));
  }
  set("1000", "me");
  ASSERT_FALSE(take_watchdog());
  set("1", std::to_string(::getpid()));
  EXPECT_EQ(take_watchdog().value(), Duration(1));
  set("18446744073709551615", std::to_string(::getpid()));
  EXPECT_GT(take_watchdog().value(), Duration(1));
}

class ActivationTest : public ::testing::Test {
 protected:
  ~ActivationTest() override { clear(); }
  static void clear() {
    for (const char* variable : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(variable);
  }
  static void set(const std::string& pid, const char* count) {
    ::setenv("LISTEN_PID", pid.c_str(), 1);
    ::setenv("LISTEN_FDS", count, 1);
    ::setenv("LISTEN_FDNAMES", "peers", 1);
  }
};

// With sockets it is tested from outside, since the descriptors from 3 on are the test program's own.
TEST_F(ActivationTest, WithoutSocketsNothingIsTaken) {
  EXPECT_TRUE(take_activated_sockets().value().empty());
  set(std::to_string(::getpid()), "0");
  EXPECT_TRUE(take_activated_sockets().value().empty());
}

TEST_F(ActivationTest, ThoseOfAnotherProcessAreLeftAndForgotten) {
  set("1", "5");
  EXPECT_TRUE(take_activated_sockets().value().empty());
  for (const char* variable : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"})
    EXPECT_EQ(std::getenv(variable), nullptr) << variable;
}

TEST_F(ActivationTest, NumbersThatAreNoneAreNamed) {
  for (const char* count : {"", "-1", "three", "99999999999999999999"}) {
    set(std::to_string(::getpid()), count);
    const auto taken = take_activated_sockets();
    ASSERT_FALSE(taken) << count;
    EXPECT_THAT(taken.error().detail, HasSubstr("LISTEN_FDS"));
    EXPECT_EQ(std::getenv("LISTEN_FDS"), nullptr);
  }
  set("me", "1");
  ASSERT_FALSE(take_activated_sockets());
}

}  // namespace
}  // namespace stickmesh::net
