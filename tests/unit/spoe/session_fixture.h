#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "spoe/session/session.h"
#include "tests/unit/spoe/conversation.h"

namespace stickmesh::spoe {

/// Notes what it is told; answers with what |on_notified| sets.
class RecordingHandler : public Handler {
 public:
  std::vector<std::string> calls;
  std::function<Result<void>(MessageReader, Answer&)> on_notified;
  bool drains = false;

  void established(const HaproxyHello& hello, TimePoint) override {
    calls.push_back(fmt::format("established {} {}", hello.max_frame_size, hello.engine_id));
  }
  Result<void> notified(MessageReader messages, Answer& answer, TimePoint) override {
    std::string call = "event";
    MessageReader reader = messages;
    while (const auto message = reader.next()) {
      call += fmt::format(" {}(", message->name);
      for (std::size_t index = 0; const auto argument = reader.argument(); ++index) {
        call += fmt::format("{}{}={}", index == 0 ? "" : ",", argument->name, describe(argument->value));
      }
      call += ")";
    }
    EXPECT_TRUE(reader.ok());
    calls.push_back(call);
    return on_notified ? on_notified(messages, answer) : Result<void>();
  }
  void refused(std::uint64_t events, const Error& why, TimePoint) override {
    calls.push_back(fmt::format("refused {} {}", events, to_string(why)));
  }
  bool draining() const override { return drains; }

  std::vector<std::string> take_calls() { return std::exchange(calls, {}); }
};

/// A session with a recording handler and a clock that only tests move.
class SpoeSessionTest : public ::testing::Test {
 protected:
  void start(const Options& options = {}) {
    session.emplace(options, handler, now);
    session->set_wakeup([this] { ++wakeups; });
    session->set_unread([this] { return unread; });
  }
  /// A session that has taken HAProxy's HELLO; its answer is drained.
  void establish(const Options& options = {}, std::uint64_t max_frame_size = 16380) {
    start(options);
    receive(haproxy_hello(max_frame_size));
    ASSERT_EQ(drain().size(), 1U);
    handler.take_calls();
  }

  void receive(Bytes bytes) {
    const Result<void> taken = session->receive(bytes, now);
    EXPECT_TRUE(taken) << to_string(taken.error());
  }
  /// All pending frames in words; they count as sent.
  std::vector<std::string> drain() {
    const std::vector<std::string> frames = describe_frames(session->pending());
    session->sent(session->pending().size(), now);
    return frames;
  }
  std::vector<std::string> reply(Bytes bytes) {
    receive(bytes);
    return drain();
  }
  Reason ended() const { return session->ended() ? session->ended()->reason : Reason::kCount; }

  /// Lets |by| pass, expiring at every deadline. Returns why the session ended, if it did.
  std::optional<Error> run_for(Duration by) {
    const TimePoint end = now + by;
    while (const std::optional<TimePoint> due = session->deadline()) {
      if (*due > end) break;
      now = std::max(now, *due);
      if (const Result<void> alive = session->expire(now); !alive) return alive.error();
      if (session->deadline() && *session->deadline() <= now) {
        ADD_FAILURE() << "a deadline that does not move";
        break;
      }
    }
    now = std::max(now, end);
    return std::nullopt;
  }

  TimePoint now{std::chrono::hours(1)};
  RecordingHandler handler;
  std::optional<SpoeSession> session;
  std::size_t unread = 0;
  int wakeups = 0;
};

}  // namespace stickmesh::spoe
