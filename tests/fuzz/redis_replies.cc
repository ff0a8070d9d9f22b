// A session against a Redis that sends arbitrary bytes in arbitrary pieces, while its user sends commands at
// any time, and takes what is pending as it likes. What the session says is held against what a second,
// simple reading of the same bytes expects: replies never exceed commands, and come in their order.
//
// Input: | login:1 | bytes of Redis, cut by 0xfe commands |. A command is 0xfe and a byte: 0xfe stands for
// itself; otherwise the low three bits choose what happens before the next piece, and the others how much.

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/redis/cluster_words.h"
#include "agent/redis/session.h"
#include "agent/redis/words.h"
#include "tests/fuzz/check.h"

namespace stickmesh::redis {
namespace {

/// Lists within each other that the hiredis of Debian 12 reads.
constexpr std::size_t kLevels = 8;

void append(std::string& out, const Reply& reply) {
  out += static_cast<char>('a' + static_cast<int>(reply.type));
  if (reply.type == Reply::Type::kNumber) out += std::to_string(reply.number);
  if (reply.type == Reply::Type::kText || reply.type == Reply::Type::kStatus ||
      reply.type == Reply::Type::kError) {
    out += std::to_string(reply.text.size()) + ":" + reply.text;
  }
  if (reply.type != Reply::Type::kList) return;
  out += std::to_string(reply.list.size()) + ":";
  for (const Reply& part : reply.list) append(out, part);
}

std::size_t depth(const Reply& reply) {
  std::size_t deepest = 0;
  if (reply.type != Reply::Type::kList) return 0;
  for (const Reply& part : reply.list) deepest = std::max(deepest, depth(part));
  return deepest + 1;
}

/// Reads the same by recursion over all bytes that there are.
class SimpleReader {
 public:
  enum class Outcome : std::uint8_t { kReply, kNeedMore, kInvalid };

  explicit SimpleReader(std::string_view bytes) : bytes_(bytes) {}

  /// Appends a reply as `append` does.
  Outcome next(std::string& out) {
    parts_ = 0;
    return item(out, 0);
  }

 private:
  Outcome item(std::string& out, std::size_t level) {
    if (at_ == bytes_.size()) return Outcome::kNeedMore;
    const char type = bytes_[at_];
    if (std::string_view("+-:$*").find(type) == std::string_view::npos) return Outcome::kInvalid;
    if (type == '*' && level == kLevels) return Outcome::kInvalid;
    const std::size_t end = bytes_.find("\r\n", at_);
    if (end == std::string_view::npos) return Outcome::kNeedMore;
    const std::string_view line = bytes_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 2;
    Reply reply;
    if (type == '+' || type == '-') {
      reply.type = type == '+' ? Reply::Type::kStatus : Reply::Type::kError;
      reply.text = line;
      append(out, reply);
      return Outcome::kReply;
    }
    const auto number = number_of(line);
    if (!number) return Outcome::kInvalid;
    if (type == ':') {
      reply.type = Reply::Type::kNumber;
      reply.number = *number;
      append(out, reply);
      return Outcome::kReply;
    }
    if (*number < -1) return Outcome::kInvalid;
    if (*number == -1) {
      append(out, reply);
      return Outcome::kReply;
    }
    const auto size = static_cast<std::uint64_t>(*number);
    return type == '$' ? text(out, size) : list(out, size, level);
  }

  Outcome text(std::string& out, std::uint64_t size) {
    if (bytes_.size() - at_ < 2 || bytes_.size() - at_ - 2 < size) return Outcome::kNeedMore;
    Reply reply;
    reply.type = Reply::Type::kText;
    reply.text = bytes_.substr(at_, size);
    // hiredis takes any two bytes for the end of a line here.
    at_ += size + 2;
    append(out, reply);
    return Outcome::kReply;
  }

  Outcome list(std::string& out, std::uint64_t size, std::size_t level) {
    if (size > ReplyReader::kMaxReplies - parts_) return Outcome::kInvalid;
    parts_ += size;
    out += static_cast<char>('a' + static_cast<int>(Reply::Type::kList)) + std::to_string(size) + ":";
    for (; size != 0; --size) {
      if (const Outcome part = item(out, level + 1); part != Outcome::kReply) return part;
    }
    return Outcome::kReply;
  }

  // No sign but a minus, no zero in front.
  static std::optional<std::int64_t> number_of(std::string_view digits) {
    if (digits == "0") return 0;
    const bool negative = !digits.empty() && digits[0] == '-';
    if (negative) digits.remove_prefix(1);
    if (digits.empty() || digits[0] == '0' || digits.size() > 19) return std::nullopt;
    std::uint64_t value = 0;
    for (const char digit : digits) {
      if (digit < '0' || digit > '9') return std::nullopt;
      value = value * 10 + static_cast<std::uint64_t>(digit - '0');
    }
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (value > kMost + (negative ? 1U : 0U)) return std::nullopt;
    return static_cast<std::int64_t>(negative ? ~value + 1 : value);
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
  std::size_t parts_ = 0;
};

class FuzzUser : public SessionUser {
 public:
  std::uint64_t sent = 0;  ///< commands since the login
  std::vector<std::string> replies;
  bool is_ready = false, over = false;
  std::size_t refuses_after = std::numeric_limits<std::size_t>::max();

  void ready(const Server& server, TimePoint) override {
    FUZZ_CHECK(!over && !is_ready && replies.empty() && sent == 0);
    for (const std::string& value : {server.version, server.run, server.role})
      FUZZ_CHECK(value.find_first_of("\r\n") == std::string::npos);
    is_ready = true;
  }
  Result<void> replied(const Reply& reply, TimePoint) override {
    FUZZ_CHECK(is_ready && !over && replies.size() < sent);
    FUZZ_CHECK(depth(reply) <= kLevels);
    std::string all;
    append(all, reply);
    replies.push_back(std::move(all));
    if (const auto masters = read_masters(reply)) {
      SlotSet given;
      for (const Master& master : *masters) {
        FUZZ_CHECK(master.slots.any() && master.port != 0 && (master.slots & given).none());
        given |= master.slots;
      }
    }
    if (reply.error()) {
      if (const auto to = read_redirection(reply.text)) FUZZ_CHECK(to->port != 0 && stops_all(reply.text));
      const std::string words = explain(reply.text);
      FUZZ_CHECK(words.size() < 500 && words.find('\n') == std::string::npos);
      if (stops_all(reply.text)) return refuse(Reason::kRedis, words);
    }
    return {};
  }
  void settled(TimePoint) override { FUZZ_CHECK(is_ready && !over); }
  void ended(const Error&, TimePoint) override {
    FUZZ_CHECK(!over);
    over = true;
  }
};

class Play {
 public:
  explicit Play(std::uint8_t login) {
    Login as;
    if ((login & 1U) != 0) as.password = "s3cret";
    if ((login & 2U) != 0) as.user = "joe";
    if ((login & 4U) != 0) as.database = 3;
    as.client_name = "stickmesh-agent-1";
    greetings_ = 2U + (login & 1U) + (login >> 2U & 1U);
    session_.emplace(as, user_, now_);
    FUZZ_CHECK(session_->in_flight() == greetings_);
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
      if (!over_) obey(command & 7U, command >> 3U);
    }
    give(piece);
    finish();
  }

 private:
  void give(const std::vector<std::byte>& piece) {
    if (over_) return;
    heard_ += as_text(piece);
    // The session is over once there is a reply too much, whatever follows.
    allowed_ = greetings_ + user_.sent;
    const std::uint64_t before = session_->in_flight();
    over_ = !session_->receive(piece, now_);
    if (session_->in_flight() != before) waiting_since_ = now_;
    counted();
    agrees();
  }

  void obey(unsigned what, std::size_t amount) {
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
        pass(Duration(amount * 300));
        break;
      default:
        if (user_.is_ready) send(amount);
        break;
    }
  }

  void send(std::size_t count) {
    const std::string word(count * 3, '\r');
    const std::array<std::string_view, 3> words = {"HSET", word, {}};
    if (session_->in_flight() == 0) waiting_since_ = now_;
    for (; count != 0; --count) {
      session_->send(words, now_);
      ++user_.sent;
    }
    counted();
  }

  void take(std::size_t size) {
    const std::string_view pending = as_text(session_->pending());
    size = std::min(size, pending.size());
    taken_ += pending.substr(0, size);
    session_->sent(size, now_);
    FUZZ_CHECK(session_->pending().size() == pending.size() - size);
  }

  void pass(Duration time) {
    now_ += time;
    const auto due = session_->deadline();
    FUZZ_CHECK(due.has_value() == (session_->in_flight() != 0));
    if (due) FUZZ_CHECK(*due == waiting_since_ + RedisSession::kReplyTimeout);
    const auto late = session_->expire(now_);
    FUZZ_CHECK(late.has_value() == (!due || *due > now_));
    over_ = !late;
  }

  void counted() const {
    if (over_) return;
    if (user_.is_ready) {
      FUZZ_CHECK(session_->in_flight() == user_.sent - user_.replies.size());
    } else {
      FUZZ_CHECK(session_->in_flight() > 0 && session_->in_flight() <= greetings_);
    }
  }

  /// What was heard until now says the same, read in another way.
  void agrees() {
    SimpleReader reader(heard_);
    std::size_t replies = 0;
    bool refused = false;
    for (; !refused; ++replies) {
      std::string reply;
      const SimpleReader::Outcome outcome = reader.next(reply);
      if (outcome == SimpleReader::Outcome::kNeedMore) break;
      refused = outcome == SimpleReader::Outcome::kInvalid || replies == allowed_ || !take(reply, replies);
      if (refused) break;
    }
    FUZZ_CHECK(refused == over_);
    if (!refused) FUZZ_CHECK(user_.replies.size() + greetings_ == std::max(replies, greetings_));
    FUZZ_CHECK(user_.is_ready == (replies >= greetings_));
  }

  /// False when that reply ends the session.
  bool take(const std::string& reply, std::size_t number) const {
    const auto type = static_cast<Reply::Type>(reply[0] - 'a');
    if (number + 1 < greetings_) return type != Reply::Type::kError;
    if (number + 1 == greetings_) return type == Reply::Type::kText;
    FUZZ_CHECK(user_.replies.size() > number - greetings_ && user_.replies[number - greetings_] == reply);
    return type != Reply::Type::kError || !stops_all(std::string_view(reply).substr(reply.find(':') + 1));
  }

  /// All that was sent is commands, and as many as were given.
  void finish() {
    take(session_->pending().size());
    ReplyReader reader;
    std::uint64_t commands = 0;
    const auto count = [&](const Reply& command) -> Result<void> {
      FUZZ_CHECK(command.type == Reply::Type::kList && !command.list.empty());
      for (const Reply& word : command.list) FUZZ_CHECK(word.type == Reply::Type::kText);
      ++commands;
      return {};
    };
    FUZZ_CHECK(reader.read(as_bytes(taken_), count).has_value());
    FUZZ_CHECK(commands == greetings_ + user_.sent);
    session_->closed({Reason::kConnectionLost, {}}, now_);
    FUZZ_CHECK(user_.over);
  }

  TimePoint now_{std::chrono::hours(1)};
  TimePoint waiting_since_ = now_;  ///< of the oldest command without a reply
  FuzzUser user_;
  std::optional<RedisSession> session_;
  std::size_t greetings_ = 0;
  std::uint64_t allowed_ = 0;  ///< replies to what was sent before the newest piece
  std::string heard_, taken_;
  bool over_ = false;
};

}  // namespace
}  // namespace stickmesh::redis

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stickmesh;
  Reader input({reinterpret_cast<const std::byte*>(data), size});
  const std::uint8_t login = input.u8();
  redis::Play(login).run(input);
  return 0;
}
