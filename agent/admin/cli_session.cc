#include "agent/admin/cli_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace stickmesh::admin {

namespace {

constexpr std::string_view kBlank = " \t\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

}  // namespace

CliSession::CliSession(CommandHandler& handler, TimePoint now) : handler_(handler), progress_(now) {}

Result<void> CliSession::receive(Bytes in, TimePoint now) {
  if (line_complete_ || in.empty()) return {};
  const std::string_view text = as_text(in);
  const std::size_t end = text.find('\n');
  const std::string_view part = text.substr(0, end);
  progress_ = now;
  if (part.size() > kMaxLine - line_.size()) {
    line_complete_ = true;
    std::string().swap(line_);
    output_ = fmt::format("error: the line is longer than {} bytes\n\n", kMaxLine);
    close_reason_ = Error{Reason::kMessageTooLong, "a command line"};
    return {};
  }
  line_ += part;
  if (end == std::string_view::npos) return {};
  line_complete_ = true;
  produce(now);
  return {};
}

Bytes CliSession::pending() const {
  return as_bytes(std::string_view(output_).substr(output_start_));
}

void CliSession::sent(std::size_t size, TimePoint now) {
  output_start_ += size;
  if (output_start_ == output_.size()) {
    output_.clear();
    output_start_ = 0;
  } else if (output_start_ >= kLowWater) {
    output_.erase(0, output_start_);
    output_start_ = 0;
  }
  progress_ = now;
  produce(now);
}

std::optional<TimePoint> CliSession::deadline() const {
  const TimePoint idle = progress_ + kIdleTimeout;
  if (!waiting_) return idle;
  // With nothing to send, the client waits for us, not we for it.
  return pending().empty() ? ask_at_ : std::min(idle, ask_at_);
}

Result<void> CliSession::expire(TimePoint now) {
  const bool idle = now - progress_ >= kIdleTimeout;
  if (idle && !line_complete_) return refuse(Reason::kIdleTimeout, "no command was sent");
  if (idle && !pending().empty()) return refuse(Reason::kNotReading, "the answer was not read");
  if (waiting_ && now >= ask_at_) {
    if (pending().empty()) progress_ = now;
    produce(now);
  }
  return {};
}

void CliSession::closed(const Error&, TimePoint) {
  answer_.reset();
}

// One piece a call: the caller writes in between, and the loop gets its turn.
void CliSession::produce(TimePoint now) {
  waiting_ = false;
  if (close_reason_ || pending().size() >= kLowWater) return;
  if (answer_ || next_command(now)) {
    pull(now);
  } else {
    if (!answered_) output_ += '\n';
    answered_ = true;
    close_reason_ = Error{Reason::kConnectionLost, "answered"};
  }
}

// Starts the next command of the line; false when there is none.
bool CliSession::next_command(TimePoint now) {
  while (parsed_ < line_.size()) {
    const std::string_view command = trimmed(take_command());
    if (command.empty()) continue;
    answer_ = handler_.run(command, now);
    last_ = '\n';
    return true;
  }
  return false;
}

std::string_view CliSession::take_command() {
  const std::size_t begin = parsed_;
  while (parsed_ < line_.size() && line_[parsed_] != ';') parsed_ += line_[parsed_] == '\\' ? 2U : 1U;
  const std::size_t end = std::min(parsed_, line_.size());
  parsed_ = end + 1;
  return std::string_view(line_).substr(begin, end - begin);
}

void CliSession::pull(TimePoint now) {
  const std::size_t before = output_.size();
  const bool more = answer_->more(output_, now);
  if (output_.size() != before) last_ = output_.back();
  if (more) {
    waiting_ = output_.size() == before;
    if (waiting_) ask_at_ = now + answer_->patience();
    return;
  }
  // What was said before may have been sent already.
  if (last_ != '\n') output_ += '\n';
  output_ += '\n';
  answer_.reset();
  answered_ = true;
}

}  // namespace stickmesh::admin
