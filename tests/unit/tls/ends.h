#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/tls/secure_session.h"

namespace stickmesh::tls {

inline constexpr TimePoint kStart{Duration(1'000'000)};

/// What the session within TLS is told to do, and what it saw. Outlives the session.
struct Script {
  std::string received;
  std::string output;  ///< what it has to say
  std::vector<std::size_t> sends;
  std::optional<Error> end;
  std::optional<Error> close_reason;
  std::optional<TimePoint> deadline;
  std::optional<Error> refuses;  ///< what it is handed
  bool reads = true;
  std::size_t unread = 0;  ///< as it sees it, when it was last handed something
};

class Inner final : public Session {
 public:
  explicit Inner(Script& script) : script_(script) {}

  Result<void> receive(Bytes in, TimePoint) override {
    script_.received += as_text(in);
    script_.unread = unread();
    if (script_.refuses) return tl::unexpected(*script_.refuses);
    return {};
  }
  Bytes pending() const override { return as_bytes(script_.output); }
  void sent(std::size_t size, TimePoint) override {
    script_.sends.push_back(size);
    script_.output.erase(0, size);
  }
  std::optional<TimePoint> deadline() const override { return script_.deadline; }
  Result<void> expire(TimePoint) override { return refuse(Reason::kIdleTimeout); }
  bool wants_input() const override { return script_.reads && !script_.close_reason; }
  void closed(const Error& why, TimePoint) override { script_.end = why; }
  const std::optional<Error>& close_reason() const override { return script_.close_reason; }
  void say(const std::string& text) {
    script_.output += text;
    wake();
  }

 private:
  Script& script_;
};

/// One end: a context, TLS, and the session within.
struct End {
  End(const Files& files, Role end_role, std::optional<Error> turns_away_with = {})
      : context(std::move(*Context::load(files))), role(end_role), turns_away(std::move(turns_away_with)) {
    start();
  }

  /// A new session of the context, as a test may have changed it.
  void start() {
    Setup setup;
    setup.role = role;
    setup.name = "other";
    setup.begin = [this](Certified names) -> Result<std::unique_ptr<Session>> {
      certified = std::move(names);
      if (turns_away) return tl::unexpected(*turns_away);
      auto made = std::make_unique<Inner>(script);
      inner = made.get();
      return made;
    };
    setup.failed = [this](const Error& why, TimePoint) { failed = why; };
    session = std::make_unique<SecureSession>(*context, std::move(setup), kStart);
  }

  /// What has to be written, taken in one piece.
  std::string take() {
    std::string bytes(as_text(session->pending()));
    if (!bytes.empty()) session->sent(bytes.size(), kStart);
    return bytes;
  }
  void give(std::string_view bytes) {
    if (error || bytes.empty()) return;
    if (auto taken = session->receive(as_bytes(bytes), kStart); !taken) error = taken.error();
  }
  /// As a connection does in the end.
  void close(const Error& why) {
    session->closed(why, kStart);
    session.reset();
  }

  std::unique_ptr<Context> context;
  Role role;
  std::optional<Error> turns_away;
  Script script;
  Inner* inner = nullptr;
  Certified certified;
  std::optional<Error> failed;
  std::optional<Error> error;
  std::unique_ptr<SecureSession> session;
};

/// Carries bytes both ways, |piece| at a time, until both are silent. Returns how many.
inline std::size_t exchange(End& a, End& b, std::size_t piece = 65536) {
  std::size_t carried = 0;
  for (bool moved = true; moved;) {
    moved = false;
    for (auto [from, to] : {std::pair{&a, &b}, std::pair{&b, &a}}) {
      const std::string bytes = from->take();
      moved |= !bytes.empty();
      carried += bytes.size();
      for (std::size_t at = 0; at < bytes.size(); at += piece) to->give(bytes.substr(at, piece));
    }
  }
  return carried;
}

}  // namespace stickmesh::tls
