#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/base/session.h"

namespace stickmesh::admin {

/// What a command says, made piece by piece so that no long answer is ever held whole.
class Answer {
 public:
  Answer() = default;
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;
  virtual ~Answer() = default;

  /// Appends the next piece, some 16 KiB, and says whether there is more. May append nothing and have more,
  /// such as when many rows did not match: the next piece is asked for at a later wake-up.
  virtual bool more(std::string& out, TimePoint now) = 0;
  /// How long to wait then before asking again: not zero when the answer depends on something that takes its
  /// time.
  virtual Duration patience() const { return Duration{0}; }
};

class CommandHandler {
 public:
  CommandHandler() = default;
  CommandHandler(const CommandHandler&) = delete;
  CommandHandler& operator=(const CommandHandler&) = delete;
  virtual ~CommandHandler() = default;

  /// |line| is one command without its end, never empty, valid during the call only. The answer may be
  /// dropped at any time; one that reports a failure begins with "error:".
  virtual std::unique_ptr<Answer> run(std::string_view line, TimePoint now) = 0;
};

/// A connection to the admin socket, as to HAProxy's in its non-interactive mode: one line of commands with
/// ';' between them ("\;" is left as it is, for the command), answered in order, each answer ended by an
/// empty line; then it closes. What follows the line is not read.
class CliSession final : public Session {
 public:
  static constexpr std::size_t kMaxLine = 65536;
  /// The next piece of an answer is asked for when less than this is unsent.
  static constexpr std::size_t kLowWater = 16384;
  /// For a client that neither sends its line nor reads its answer.
  static constexpr Duration kIdleTimeout{30000};

  /// |handler| must outlive the session.
  CliSession(CommandHandler& handler, TimePoint now);

  Result<void> receive(Bytes in, TimePoint now) override;
  Bytes pending() const override;
  void sent(std::size_t size, TimePoint now) override;
  std::optional<TimePoint> deadline() const override;
  Result<void> expire(TimePoint now) override;
  bool wants_input() const override { return !line_complete_; }
  void closed(const Error& why, TimePoint now) override;
  const std::optional<Error>& close_reason() const override { return close_reason_; }

 private:
  void produce(TimePoint now);
  bool next_command(TimePoint now);
  void pull(TimePoint now);
  std::string_view take_command();

  CommandHandler& handler_;
  std::string line_;
  std::size_t parsed_ = 0;  ///< up to where |line_| was run
  bool line_complete_ = false;
  bool answered_ = false;
  std::unique_ptr<Answer> answer_;
  char last_ = '\n';      ///< of what |answer_| has said so far
  bool waiting_ = false;  ///< |answer_| had nothing to say: ask at |ask_at_|
  TimePoint ask_at_{};
  std::string output_;
  std::size_t output_start_ = 0;  ///< what was sent of |output_|
  TimePoint progress_;
  std::optional<Error> close_reason_;
};

}  // namespace stickmesh::admin
