// A session against an HAProxy that sends arbitrary bytes in arbitrary pieces at arbitrary times, reads when
// it likes, and does not notice that the agent is restarted. What the session says is held against what a
// second, simple reading of the same bytes expects.
//
// Input: | mood of the handler:1 | bytes of HAProxy, cut by 0xfe commands |. A command is 0xfe and a byte:
// 0xfe stands for itself; otherwise the low three bits choose what happens before the next piece, and the
// others how much.

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "spoe/session/session.h"
#include "tests/fuzz/check.h"

namespace stickmesh::spoe {
namespace {

constexpr std::size_t kCap = 1000;
constexpr std::size_t kMaxFragmented = 600;
constexpr std::size_t kHighWater = 3000;

using Ids = std::pair<std::uint64_t, std::uint64_t>;

class FuzzHandler : public Handler {
 public:
  unsigned mood = 0;
  bool over = false;  ///< no call may come any more
  std::size_t introduced = 0, events = 0, refused_events = 0;

  void established(const HaproxyHello& hello, TimePoint) override {
    FUZZ_CHECK(!over && introduced == 0 && !hello.health_check);
    ++introduced;
  }
  Result<void> notified(MessageReader messages, Answer& answer, TimePoint) override {
    FUZZ_CHECK(!over && introduced == 1);
    ++events;
    while (const auto message = messages.next()) {
      std::size_t arguments = 0;
      while (const auto argument = messages.argument()) {
        ++arguments;
        if ((mood & 1U) != 0) answer.set(Scope::kRequest, argument->name, argument->value);
      }
      FUZZ_CHECK(arguments == message->arguments);
      if ((mood & 2U) != 0) answer.set(Scope::kTransaction, "v", Value::string(std::string(200, 'v')));
      if ((mood & 4U) != 0) answer.unset(Scope::kSession, message->name);
    }
    FUZZ_CHECK(messages.ok());
    if ((mood & 8U) != 0 && events % 3 == 0) return refuse(Reason::kBadKey);
    if ((mood & 16U) != 0 && events % 4 == 0) throw std::runtime_error("hook");
    return {};
  }
  void refused(std::uint64_t count, const Error&, TimePoint) override {
    FUZZ_CHECK(!over && count > 0);
    refused_events += count;
  }
  bool draining() const override { return (mood & 32U) != 0; }
};

/// Reads what the session sends, as HAProxy would.
class Listener {
 public:
  std::vector<Ids> acks;
  std::size_t hellos = 0, goodbyes = 0, truths = 0;
  std::size_t frame_size = 0;

  void hear(Bytes bytes) {
    heard_.insert(heard_.end(), bytes.begin(), bytes.end());
    Bytes rest(heard_);
    for (;;) {
      const Frame frame = parse_frame(rest, kCap);
      FUZZ_CHECK(frame.status == FrameStatus::kFrame || frame.status == FrameStatus::kNeedMore);
      if (frame.status == FrameStatus::kNeedMore) break;
      take(frame);
      rest = rest.subspan(frame.size);
    }
    heard_.assign(rest.begin(), rest.end());
  }
  bool complete() const { return heard_.empty(); }

 private:
  void take(const Frame& frame) {
    FUZZ_CHECK(goodbyes == 0);
    FUZZ_CHECK(frame.header.fin());
    switch (frame.header.type) {
      case FrameType::kAgentHello: {
        const auto hello = decode_agent_hello(frame.payload);
        FUZZ_CHECK(hello && hello->max_frame_size <= kCap && acks.empty() && hellos == 0);
        frame_size = hello->max_frame_size;
        ++hellos;
        return;
      }
      case FrameType::kAgentDisconnect:
        FUZZ_CHECK(decode_disconnect(frame.payload).has_value());
        ++goodbyes;
        return;
      case FrameType::kAck:
        return take_ack(frame);
      default:
        FUZZ_CHECK(false);
    }
  }

  void take_ack(const Frame& frame) {
    FUZZ_CHECK(hellos == 1 && frame.size - kLengthSize <= frame_size);
    acks.emplace_back(frame.header.stream_id, frame.header.frame_id);
    ActionReader actions(frame.payload);
    const auto first = actions.next();
    FUZZ_CHECK(first && first->set && first->scope == Scope::kTransaction && first->name == kOkVariable);
    FUZZ_CHECK(first->value.type == DataType::kBool);
    const bool ok = first->value.number != 0;
    if (ok) ++truths;
    while (actions.next()) FUZZ_CHECK(ok);
    FUZZ_CHECK(actions.ok());
  }

  std::vector<std::byte> heard_;
};

/// Which events HAProxy's bytes ask an answer for, up to the first fault.
class Expectation {
 public:
  std::vector<Ids> acks;

  explicit Expectation(Bytes in) {
    std::size_t limit = kMaxHelloLength;
    for (bool first = true;; first = false) {
      const Frame frame = parse_frame(in, limit);
      if (frame.status != FrameStatus::kFrame) return;
      in = in.subspan(frame.size);
      if (first) {
        if (frame.header.type != FrameType::kHaproxyHello) return;
        const auto hello = decode_haproxy_hello(frame.header, frame.payload);
        if (!hello || hello->health_check) return;
        limit = std::min<std::size_t>(hello->max_frame_size, kCap);
      } else if (!take(frame)) {
        return;
      }
    }
  }

 private:
  /// False at a fault.
  bool take(const Frame& frame) {
    const FrameHeader& header = frame.header;
    const Ids ids{header.stream_id, header.frame_id};
    switch (header.type) {
      case FrameType::kNotify:
        if (ids.second == 0 || open_) return false;
        refused_.reset();
        if (header.aborts()) return true;
        if (header.fin()) {
          acks.push_back(ids);
          return true;
        }
        open_ = ids;
        size_ = 0;
        return add(frame);
      case FrameType::kUnset:
        if (refused_ == ids) {
          if (header.fin() || header.aborts()) refused_.reset();
          return true;
        }
        if (open_ != ids) return false;
        if (header.aborts()) {
          open_.reset();
          return true;
        }
        return add(frame);
      case FrameType::kHaproxyHello:
      case FrameType::kHaproxyDisconnect:
      case FrameType::kAgentHello:
      case FrameType::kAgentDisconnect:
      case FrameType::kAck:
        return false;
    }
    return true;
  }

  bool add(const Frame& frame) {
    size_ += frame.payload.size();
    if (size_ <= kMaxFragmented && !frame.header.fin()) return true;
    acks.push_back(*open_);
    if (!frame.header.fin()) refused_ = open_;
    open_.reset();
    return true;
  }

  std::optional<Ids> open_, refused_;
  std::size_t size_ = 0;
};

class Play {
 public:
  explicit Play(std::uint8_t mood) {
    handler_.mood = mood;
    options_.max_frame_size = kCap;
    options_.max_fragmented = kMaxFragmented;
    options_.high_water = kHighWater;
    options_.max_malformed = 5;
    options_.clock = [this] { return now_ + lag_; };
    session_.emplace(options_, handler_, now_);
  }

  void run(Reader& input) {
    std::vector<std::byte> piece;
    while (input.remaining() > 0 && !over_) {
      const auto byte = static_cast<std::byte>(input.u8());
      if (byte != std::byte{0xfe}) {
        piece.push_back(byte);
        continue;
      }
      const std::uint8_t command = input.u8();
      if (command == 0xfe) {
        piece.push_back(byte);
        continue;
      }
      give(std::exchange(piece, {}));
      obey(command & 7U, command >> 3U);
    }
    give(piece);
    finish();
  }

 private:
  void give(const std::vector<std::byte>& piece) {
    // A connection does not read when it is asked not to: it takes from us what there is instead.
    for (int rounds = 0; !over_ && !session_->wants_input(); ++rounds) {
      FUZZ_CHECK(rounds < 1000 && !session_->pending().empty());
      take(session_->pending().size());
    }
    if (over_) return;
    sent_.insert(sent_.end(), piece.begin(), piece.end());
    ended(session_->receive(piece, now_));
    bounded(piece.size());
  }

  void obey(unsigned what, std::size_t amount) {
    if (over_) return;
    switch (what) {
      case 0:
        break;
      case 1:
        take(amount);
        break;
      case 2:
        take(session_->pending().size());
        break;
      case 3:
        pass(Duration(amount * 20));
        break;
      case 4:
        hand_over();
        break;
      case 5:
        if (amount >= 24) session_->drain(now_);
        lag_ = Duration(amount);
        break;
      case 6:
        if (amount != 31) break;
        cut_ = true;
        session_->disconnect(now_);
        break;
      case 7:
        handler_.mood ^= 1U << amount % 6;
        break;
    }
  }

  void take(std::size_t size) {
    const Bytes pending = session_->pending();
    size = std::min(size, pending.size());
    listener_.hear(pending.first(size));
    session_->sent(size, now_);
    bounded(0);
  }

  void pass(Duration time) {
    const TimePoint end = now_ + time;
    for (int rounds = 0; !over_; ++rounds) {
      FUZZ_CHECK(rounds < 1000);
      const auto due = session_->deadline();
      if (!due || *due > end) break;
      now_ = std::max(now_, *due);
      const bool before = session_->ended().has_value();
      ended(session_->expire(now_));
      // What time ends, ends in the middle of what is being said.
      if (!before && session_->ended()) cut_ = true;
      if (!over_) FUZZ_CHECK(!session_->deadline() || *session_->deadline() > now_);
    }
    now_ = std::max(now_, end);
  }

  void hand_over() {
    std::optional<SavedSession> saved = session_->export_state();
    FUZZ_CHECK(saved.has_value() == !session_->ended().has_value());
    if (!saved) return;
    const SavedSession copy = *saved;
    session_.emplace(options_, handler_, std::move(*saved), now_);
    FUZZ_CHECK(session_->export_state() == copy);
    pass(Duration(0));
  }

  void ended(const Result<void>& result) {
    FUZZ_CHECK(result.has_value() == !session_->close_reason().has_value());
    FUZZ_CHECK(result.has_value() == (session_->state() != State::kClosed));
    over_ = !result;
  }

  void bounded(std::size_t piece) {
    FUZZ_CHECK(session_->pending().size() < kHighWater + 2 * kCap);
    const std::optional<SavedSession> saved = session_->export_state();
    if (!saved) return;
    largest_ = std::max(largest_, piece);
    FUZZ_CHECK(saved->input.size() <= kMaxHelloLength + largest_);
    FUZZ_CHECK(saved->fragments.payload.size() <= kMaxFragmented);
    const Counters& counters = saved->counters;
    FUZZ_CHECK(counters.events ==
               counters.answered + counters.overloaded + counters.malformed + counters.failed);
  }

  void finish() {
    for (int rounds = 0; !over_ && !session_->pending().empty(); ++rounds) {
      FUZZ_CHECK(rounds < 1000);
      take(session_->pending().size());
    }
    if (session_->state() != State::kClosed) FUZZ_CHECK(listener_.complete() && session_->wants_input());
    if (session_->ended()) FUZZ_CHECK(session_->state() >= State::kClosing);
    // A flood of malformed events ends the connection, as time does, where it was not expected.
    const bool cut = cut_ || (session_->ended() && session_->ended()->reason == Reason::kBadMessage);
    const Expectation expected(sent_);
    FUZZ_CHECK(listener_.acks.size() <= expected.acks.size());
    for (std::size_t at = 0; at < listener_.acks.size(); ++at) {
      FUZZ_CHECK(listener_.acks[at] == expected.acks[at]);
    }
    if (!cut && !over_) FUZZ_CHECK(listener_.acks.size() == expected.acks.size());
    const Counters& counters = session_->counters();
    FUZZ_CHECK(handler_.events == counters.answered + counters.failed);
    FUZZ_CHECK(handler_.refused_events == counters.malformed + counters.overloaded + counters.failed);
    FUZZ_CHECK(listener_.truths <= counters.answered);
    handler_.over = true;
    session_->closed({Reason::kConnectionLost, {}}, now_);
    FUZZ_CHECK(session_->close_reason() && !session_->deadline());
    FUZZ_CHECK(!session_->receive(as_bytes("x"), now_));
  }

  TimePoint now_{std::chrono::hours(1)};
  Duration lag_{0};
  Options options_;
  FuzzHandler handler_;
  Listener listener_;
  std::optional<SpoeSession> session_;
  std::vector<std::byte> sent_;
  std::size_t largest_ = 0;
  bool over_ = false;
  bool cut_ = false;  ///< ended by time or by us
};

}  // namespace
}  // namespace stickmesh::spoe

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stickmesh;
  Reader input({reinterpret_cast<const std::byte*>(data), size});
  const std::uint8_t mood = input.u8();
  spoe::Play(mood).run(input);
  return 0;
}
