#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "agent/base/session.h"
#include "agent/redis/replies.h"

namespace stickmesh::redis {

/// Who we are to the server.
struct Login {
  std::string user{};      ///< empty: the default one
  std::string password{};  ///< empty: none is sent
  std::uint32_t database = 0;
  std::string client_name{};  ///< as its CLIENT LIST shows us
};

/// What the server says of itself.
struct Server {
  std::string version{};
  std::string run{};   ///< changes whenever it is started
  std::string role{};  ///< "master" or "slave"
};

/// What becomes of a session's commands. Replies come in the order of the commands.
class SessionUser {
 public:
  SessionUser() = default;
  SessionUser(const SessionUser&) = delete;
  SessionUser& operator=(const SessionUser&) = delete;
  virtual ~SessionUser() = default;

  /// Logged in: commands may be sent from now on.
  virtual void ready(const Server& server, TimePoint now) = 0;
  /// An error ends the session.
  virtual Result<void> replied(const Reply& reply, TimePoint now) = 0;
  /// All that has arrived was handed in.
  virtual void settled(TimePoint now) = 0;
  virtual void ended(const Error& why, TimePoint now) = 0;
};

/// A connection to Redis: logs in, sends commands as they are given, pairs replies with them. Knows no socket
/// and no clock. Ends when a reply is overdue.
class RedisSession final : public Session {
 public:
  static constexpr Duration kReplyTimeout{5000};

  /// |user| must outlive it.
  RedisSession(const Login& login, SessionUser& user, TimePoint now);

  /// Only once `ready` was called.
  void send(std::span<const std::string_view> words, TimePoint now);
  /// From now on messages of subscriptions come, which `SessionUser::replied` is given like replies.
  void expect_messages() { messages_ = true; }
  /// A reply may have so many parts, in place of `ReplyReader::kMaxReplies`.
  void allow_parts(std::size_t parts) { reader_.allow(parts); }
  /// How many commands have no reply yet.
  std::uint64_t in_flight() const { return in_flight_; }
  /// It is over, because of |why|.
  void end(Error why);

  Result<void> receive(Bytes in, TimePoint now) override;
  Bytes pending() const override;
  void sent(std::size_t size, TimePoint now) override;
  std::optional<TimePoint> deadline() const override;
  Result<void> expire(TimePoint now) override;
  bool wants_input() const override { return true; }
  void closed(const Error& why, TimePoint now) override { user_.ended(why, now); }
  const std::optional<Error>& close_reason() const override { return close_reason_; }

 private:
  Result<void> take(const Reply& reply, TimePoint now);
  Result<void> greeted(const Reply& reply, TimePoint now);

  SessionUser& user_;
  ReplyReader reader_;
  std::string out_;
  std::size_t out_start_ = 0;  ///< what was sent of |out_|
  std::uint64_t in_flight_ = 0;
  std::uint64_t greetings_ = 0;  ///< commands of the login without a reply
  TimePoint waiting_since_;      ///< of the oldest without a reply
  bool messages_ = false;
  bool inside_ = false;  ///< in a call of the connection, which looks at the output after it
  std::optional<Error> close_reason_;
};

}  // namespace stickmesh::redis
