#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/peers/session/session.h"
#include "tests/unit/peers/hex.h"
#include "tests/unit/peers/recording_handler.h"
#include "tests/unit/peers/vectors.h"

namespace stickmesh::peers {

/// A session with a recording handler, a clock that stands still, and the other side's bytes written by hand.
class SessionTest : public ::testing::Test {
 protected:
  static Options accepting() {
    Options options;
    options.local_name = "agent";
    return options;
  }
  static Options dialling() {
    Options options;
    options.role = Role::kDialling;
    options.local_name = "agent";
    options.remote_name = "lb1";
    options.pid = 99;
    return options;
  }

  void start(const Options& options) {
    session.emplace(options, handler, now);
    session->set_wakeup([this] { ++wakeups; });
  }
  /// An accepting session that has taken HAProxy's hello; the status is drained.
  void establish(const Options& options = accepting(),
                 std::string_view hello = "HAProxyS 2.1\nagent\nlb1 4711 1\n") {
    start(options);
    ASSERT_TRUE(session->receive(as_bytes(hello), now));
    ASSERT_EQ(drain_text(), "200\n");
    handler.take_calls();
  }

  Result<void> receive(std::string_view hex) { return session->receive(from_hex(hex), now); }
  /// Each in its own call.
  void receive_all(std::initializer_list<std::string_view> messages) {
    for (const std::string_view message : messages) {
      const auto result = receive(message);
      EXPECT_TRUE(result) << message << ": " << to_string(result.error());
    }
  }
  /// Why |hex| ends the session; kCount if it does not.
  Reason refusal(std::string_view hex) {
    const auto result = receive(hex);
    return result ? Reason::kCount : result.error().reason;
  }

  std::string drain_text() {
    const std::string text(as_text(session->pending()));
    session->sent(text.size(), now);
    return text;
  }
  /// All pending bytes, which count as sent.
  std::string drain() { return to_hex(as_bytes(drain_text())); }

  void advance(Duration by) { now += by; }
  /// Lets |by| pass, expiring at every deadline. Returns what was sent at which time since the start.
  std::vector<std::string> run_for(Duration by) {
    std::vector<std::string> sent;
    const TimePoint end = now + by;
    for (;;) {
      const std::optional<TimePoint> due = session->deadline();
      if (!due || *due > end) break;
      if (*due > now) now = *due;
      const auto result = session->expire(now);
      if (session->pending().size() > 0) {
        sent.push_back(fmt::format("{}: {}", (now - kStart).count(), drain()));
      }
      if (!result) {
        sent.push_back(fmt::format("{}: {}", (now - kStart).count(), reason_name(result.error().reason)));
        break;
      }
    }
    now = end;
    return sent;
  }

  static constexpr TimePoint kStart{std::chrono::hours(1)};
  TimePoint now = kStart;
  RecordingHandler handler;
  std::optional<PeerSession> session;
  int wakeups = 0;
};

}  // namespace stickmesh::peers
