#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/session.h"

namespace stickmesh::net {

/// What a test tells its session to do, and what the session saw. Outlives the session.
struct Script {
  std::string received;
  std::string output;  ///< what is pending
  std::vector<std::size_t> receives, sends;
  std::vector<Error> ends;
  std::optional<TimePoint> deadline;
  std::optional<Error> close_reason;
  bool answers = true;
  int expiries = 0;
  std::function<Result<void>(std::string_view)> on_receive;
  std::function<Result<void>(TimePoint)> on_expire;
  std::function<bool()> wants_input;
  std::function<void()> on_closed;
  std::function<void()> wake;  ///< as the session's own code would
};

class ScriptedSession final : public Session {
 public:
  explicit ScriptedSession(Script& script) : script_(script) {
    script_.wake = [this] { wake(); };
  }
  ~ScriptedSession() override { wake(); }  // must be harmless even now

  Result<void> receive(Bytes in, TimePoint) override {
    script_.receives.push_back(in.size());
    script_.received += as_text(in);
    return script_.on_receive ? script_.on_receive(as_text(in)) : Result<void>();
  }
  Bytes pending() const override { return as_bytes(std::string_view(script_.output).substr(offset_)); }
  void sent(std::size_t size, TimePoint) override {
    script_.sends.push_back(size);
    offset_ += size;
    if (offset_ < script_.output.size()) return;
    script_.output.clear();
    offset_ = 0;
  }
  std::optional<TimePoint> deadline() const override { return script_.deadline; }
  Result<void> expire(TimePoint now) override {
    ++script_.expiries;
    script_.deadline.reset();
    return script_.on_expire ? script_.on_expire(now) : Result<void>();
  }
  bool wants_input() const override { return !script_.wants_input || script_.wants_input(); }
  bool answers() const override { return script_.answers; }
  void closed(const Error& why, TimePoint) override {
    script_.ends.push_back(why);
    if (script_.on_closed) script_.on_closed();
  }
  const std::optional<Error>& close_reason() const override { return script_.close_reason; }

 private:
  Script& script_;
  std::size_t offset_ = 0;
};

}  // namespace stickmesh::net
