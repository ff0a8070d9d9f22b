#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/session.h"
#include "agent/tls/context.h"
#include "agent/tls/role.h"

namespace stickmesh::tls {

/// The DNS names in the other side's certificate, which is verified; nothing when none was asked for.
using Certified = std::optional<std::vector<std::string>>;

struct Setup {
  Role role = Role::kAccepting;
  std::string name;  ///< whom we dial, so that a host with several certificates can choose
  Duration handshake_timeout{5000};
  /// Makes the session that TLS protects, once the other side is known. An error turns it away.
  std::function<Result<std::unique_ptr<Session>>(Certified)> begin;
  /// The connection is gone, and |begin| has made no session that would hear of it.
  std::function<void(const Error& why, TimePoint now)> failed;
};

/// TLS around another session: takes records and hands in what they protect, and protects what that session
/// has to say. Owned by its connection; the other session does not know of it. Beside that session's own
/// buffers it holds one buffer of the loop and one batch of records at most.
class SecureSession final : public Session {
 public:
  SecureSession(const Context& context, Setup setup, TimePoint now);
  ~SecureSession() override;

  Result<void> receive(Bytes in, TimePoint now) override;
  Bytes pending() const override;
  void sent(std::size_t size, TimePoint now) override;
  std::optional<TimePoint> deadline() const override;
  Result<void> expire(TimePoint now) override;
  bool wants_input() const override;
  bool answers() const override;
  void closed(const Error& why, TimePoint now) override;
  const std::optional<Error>& close_reason() const override;

 private:
  struct Impl;

  Result<void> advance(TimePoint now);
  Result<void> shake_hands();
  Result<void> begin();
  Result<void> open_records(TimePoint now);

  const std::unique_ptr<Impl> impl_;
};

}  // namespace stickmesh::tls
