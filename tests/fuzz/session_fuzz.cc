// A session in either role against a peer that sends arbitrary bytes in arbitrary pieces at arbitrary times,
// while its handler does all that a handler may. What the session answers is parsed and held against what it
// was told.
//
// Input: | role, minor and first actions:1 | bytes of the peer, cut by 0xfe commands |. A command is 0xfe and
// a byte: 0xfe stands for itself; otherwise the low three bits choose what happens before the next piece.

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "agent/peers/session/session.h"
#include "agent/peers/wire/ack.h"
#include "agent/peers/wire/message.h"
#include "tests/fuzz/check.h"

namespace stickmesh::peers {
namespace {

constexpr std::size_t kMaxMessage = 2048;
constexpr std::size_t kMaxTables = 5;

/// Obeys the bits of |mood| inside the callbacks.
class FuzzHandler : public Handler {
 public:
  PeerSession* session = nullptr;
  unsigned mood = 0;
  bool over = false;  ///< no call may come any more

  std::map<std::string, std::uint32_t> handles;
  std::set<std::uint32_t> live_ids;  ///< ids that may be acknowledged
  std::size_t lessons_ended = 0, lessons_asked_of_us = 0, answers = 0;

  Result<void> admit(const Hello& hello, TimePoint now) override {
    called(now);
    if (hello.from == "bad") return refuse(Reason::kUnknownPeer);
    return {};
  }
  void established(TimePoint now) override {
    called(now);
    if ((mood & 1U) != 0) session->request_lesson(now);
  }
  std::optional<std::uint32_t> table_defined(const TableDefinition& definition, TimePoint now) override {
    called(now);
    FUZZ_CHECK(!definition.name.empty() && definition.key_size > 0);
    if ((mood & 2U) != 0 && definition.name.size() % 2 == 0) return std::nullopt;
    return handles.emplace(definition.name, handles.size()).first->second;
  }
  void updated(std::uint32_t handle, const Update& update, TimePoint now) override {
    called(now);
    FUZZ_CHECK(handle < handles.size());
    FUZZ_CHECK(!update.lesson || session->learning());
    if (!update.lesson) live_ids.insert(update.update_id);
    if ((mood & 4U) != 0) push(update.update_id);
    if ((mood & 8U) != 0 && update.update_id == 13) session->close({Reason::kReplacedSession, {}});
  }
  void lesson_requested(TimePoint now) override {
    called(now);
    ++lessons_asked_of_us;
    push(1);
    if ((mood & 16U) == 0) answer(now);
  }
  void lesson_ended(bool /*complete*/, TimePoint now) override {
    called(now);
    FUZZ_CHECK(!session->learning());
    ++lessons_ended;
    if ((mood & 32U) != 0 && lessons_ended % 2 == 1) session->request_lesson(now);
  }
  void lesson_confirmed(TimePoint now) override {
    called(now);
    FUZZ_CHECK(answers > 0);
  }
  void acknowledged(TableId, std::uint32_t, TimePoint now) override { called(now); }
  void writable(TimePoint now) override {
    called(now);
    FUZZ_CHECK(session->pending().size() < 256);
    push(7);
  }

  void answer(TimePoint now) {
    ++answers;
    session->finish_lesson((mood & 1U) != 0, now);
  }
  void push(std::uint32_t id) {
    if ((mood & 64U) != 0) return;
    const TableDefinition table{"out", KeyType::kString, 8, Duration(0), {{DataType::kGpc0, 1, {}}}};
    session->select(1 + id % 2, table);
    encoder_.begin(id, Duration(1000));
    encoder_.key(KeyType::kString, as_bytes("key"));
    encoder_.number(id);
    session->append_update(encoder_.finish());
  }

 private:
  void called(TimePoint) { FUZZ_CHECK(!over); }

  UpdateEncoder encoder_;
};

/// Reads what the session sends, as the other side would.
class Listener {
 public:
  explicit Listener(Role role) : role_(role) {}

  std::size_t confirms = 0, requests = 0, finishes = 0;
  bool error_sent = false;

  void hear(Bytes bytes, const FuzzHandler& handler) {
    heard_.insert(heard_.end(), bytes.begin(), bytes.end());
    Bytes rest(heard_);
    if (!greeted_ && !greet(rest)) return;
    for (;;) {
      const Frame frame = parse_frame(rest, kMaxSentMessage);
      FUZZ_CHECK(frame.status != FrameStatus::kRefused);
      if (frame.status == FrameStatus::kNeedMore) break;
      FUZZ_CHECK(!error_sent);
      take(frame.message, handler);
      rest = rest.subspan(frame.size);
    }
    heard_.assign(rest.begin(), rest.end());
  }
  bool complete() const { return heard_.empty(); }

 private:
  bool greet(Bytes& rest) {
    std::size_t size = 0;
    if (role_ == Role::kAccepting) {
      const auto status = parse_status(as_text(rest));
      FUZZ_CHECK(status.has_value());
      if (!*status) return false;
      FUZZ_CHECK((*status)->status == kStatusAccepted);
      size = (*status)->size;
    } else {
      const auto hello = parse_hello(as_text(rest));
      FUZZ_CHECK(hello.has_value());
      if (!*hello) return false;
      size = (*hello)->size;
    }
    greeted_ = true;
    rest = rest.subspan(size);
    return true;
  }

  void take(const Message& message, const FuzzHandler& handler) {
    switch (message.message_class) {
      case MessageClass::kControl:
        if (message.type == static_cast<std::uint8_t>(ControlType::kResyncConfirm)) ++confirms;
        if (message.type == static_cast<std::uint8_t>(ControlType::kResyncRequest)) ++requests;
        if (message.type == static_cast<std::uint8_t>(ControlType::kResyncFinished) ||
            message.type == static_cast<std::uint8_t>(ControlType::kResyncPartial)) {
          ++finishes;
        }
        FUZZ_CHECK(message.type <= static_cast<std::uint8_t>(ControlType::kHeartbeat));
        return;
      case MessageClass::kError:
        error_sent = true;
        return;
      case MessageClass::kStickTable:
        take_table_message(message, handler);
        return;
      case MessageClass::kReserved:
        break;
    }
    FUZZ_CHECK(false);
  }

  void take_table_message(const Message& message, const FuzzHandler& handler) {
    switch (static_cast<TableType>(message.type)) {
      case TableType::kAck: {
        const auto ack = decode_ack(message.body);
        FUZZ_CHECK(ack && ack->table != 0 && ack->update_id != 0);
        FUZZ_CHECK(handler.live_ids.count(ack->update_id) == 1);
        return;
      }
      case TableType::kDefinition: {
        auto table = decode_definition(message.body);
        FUZZ_CHECK(table.has_value());
        definition_ = std::move(table->definition);
        return;
      }
      case TableType::kTimedUpdate: {
        std::vector<std::uint64_t> cells(cell_count(definition_));
        FUZZ_CHECK(!definition_.name.empty());
        FUZZ_CHECK(decode_update(TableType::kTimedUpdate, message.body, definition_, cells).has_value());
        return;
      }
      default:
        FUZZ_CHECK(false);
    }
  }

  Role role_;
  bool greeted_ = false;
  std::vector<std::byte> heard_;
  TableDefinition definition_;
};

/// What the peer has sent, counted by an independent reading of its bytes.
std::size_t lesson_ends(const std::vector<std::byte>& sent, Role role) {
  Bytes rest(sent);
  std::size_t greeting = 0;
  if (role == Role::kAccepting) {
    const auto hello = parse_hello(as_text(rest));
    if (!hello || !*hello) return 0;
    greeting = (*hello)->size;
  } else {
    const auto status = parse_status(as_text(rest));
    if (!status || !*status) return 0;
    greeting = (*status)->size;
  }
  rest = rest.subspan(greeting);
  std::size_t count = 0;
  for (;;) {
    const Frame frame = parse_frame(rest, kMaxMessage);
    if (frame.status != FrameStatus::kMessage) return count;
    if (frame.message.message_class == MessageClass::kControl &&
        (frame.message.type == static_cast<std::uint8_t>(ControlType::kResyncFinished) ||
         frame.message.type == static_cast<std::uint8_t>(ControlType::kResyncPartial))) {
      ++count;
    }
    rest = rest.subspan(frame.size);
  }
}

class Play {
 public:
  explicit Play(std::uint8_t first)
      : role_((first & 1U) != 0 ? Role::kDialling : Role::kAccepting),
        listener_(role_),
        session_(options(role_, first), handler_, now_) {
    handler_.session = &session_;
    handler_.mood = first >> 1U;
    session_.set_wakeup([] {});
  }

  void run(Reader& input) {
    std::vector<std::byte> piece;
    while (input.remaining() > 0 && !done_) {
      const std::uint8_t byte = input.u8();
      if (byte != 0xfe) {
        piece.push_back(static_cast<std::byte>(byte));
        continue;
      }
      const std::uint8_t command = input.u8();
      if (command == 0xfe) {
        piece.push_back(std::byte{0xfe});
        continue;
      }
      receive(piece);
      piece.clear();
      if (!done_) act(command);
    }
    if (!done_) receive(piece);
    finish();
  }

 private:
  static Options options(Role role, std::uint8_t first) {
    Options options;
    options.role = role;
    options.local_name = "agent";
    options.remote_name = "lb1";
    options.minor = (first & 2U) != 0 ? 0 : 1;
    options.max_tables = kMaxTables;
    options.max_message = kMaxMessage;
    options.low_water = 256;
    return options;
  }

  void receive(const std::vector<std::byte>& piece) {
    sent_.insert(sent_.end(), piece.begin(), piece.end());
    ended(session_.receive(piece, now_));
  }

  void act(std::uint8_t command) {
    const unsigned amount = command >> 3U;
    switch (command & 7U) {
      case 0:
        pass(Duration(amount * 100));
        break;
      case 1:
        pass(Duration(amount * 1000));
        break;
      case 2:
        take(amount);
        break;
      case 3:
        take(session_.pending().size());
        break;
      case 4:
        handler_.mood = amount | (handler_.mood << 5U & 0x60U);
        break;
      case 5:
        session_.request_lesson(now_);
        break;
      case 6:
        handler_.answer(now_);
        break;
      case 7:
        if (amount == 31) session_.close({Reason::kReplacedSession, {}});
        session_.nudge(now_);
        handler_.push(amount);
        break;
    }
    if (session_.close_reason()) done_ = true;
  }

  void pass(Duration time) {
    const TimePoint end = now_ + time;
    for (int rounds = 0; !done_; ++rounds) {
      FUZZ_CHECK(rounds < 1000);
      const auto due = session_.deadline();
      FUZZ_CHECK(due.has_value());
      if (*due > end) break;
      now_ = std::max(now_, *due);
      ended(session_.expire(now_));
      if (!done_) FUZZ_CHECK(session_.deadline() > now_);
    }
    now_ = std::max(now_, end);
  }

  void take(std::size_t size) {
    const Bytes pending = session_.pending();
    size = std::min(size, pending.size());
    const std::vector<std::byte> taken(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(size));
    listener_.hear(taken, handler_);
    session_.sent(size, now_);
    if (session_.close_reason()) done_ = true;
  }

  void ended(const Result<void>& result) {
    FUZZ_CHECK(result.has_value() == !session_.close_reason().has_value());
    FUZZ_CHECK(result.has_value() == (session_.state() != State::kClosed));
    if (result) return;
    FUZZ_CHECK(result.error().reason == session_.close_reason()->reason);
    done_ = true;
  }

  void finish() {
    handler_.over = session_.state() == State::kClosed;
    FUZZ_CHECK(!session_.close_reason() || !session_.wants_input());
    const bool running = session_.state() == State::kRunning;
    const std::vector<std::byte> rest(session_.pending().begin(), session_.pending().end());
    listener_.hear(rest, handler_);
    FUZZ_CHECK(listener_.complete() || (session_.state() != State::kRunning));
    // Each FINISHED and PARTIAL is confirmed once; after the handler's own close() the last may not be.
    const std::size_t ends = lesson_ends(sent_, role_);
    FUZZ_CHECK(running ? listener_.confirms == ends : listener_.confirms <= ends);
    FUZZ_CHECK(listener_.finishes <= handler_.lessons_asked_of_us);
    FUZZ_CHECK(handler_.lessons_ended <= listener_.requests);
    FUZZ_CHECK(handler_.handles.size() <= kMaxTables);
    if (!running) FUZZ_CHECK(!session_.receive(as_bytes("x"), now_) || session_.state() == State::kHandshake);
    handler_.over = false;
    session_.closed({Reason::kConnectionLost, {}}, now_);
  }

  TimePoint now_{std::chrono::hours(1)};
  Role role_;
  FuzzHandler handler_;
  Listener listener_;
  PeerSession session_;
  std::vector<std::byte> sent_;
  bool done_ = false;
};

}  // namespace
}  // namespace stickmesh::peers

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stickmesh;
  Reader input({reinterpret_cast<const std::byte*>(data), size});
  const std::uint8_t first = input.u8();
  peers::Play(first).run(input);
  return 0;
}
