#include "agent/tls/secure_session.h"

#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <utility>

#include "agent/tls/certificate.h"
#include "agent/tls/openssl.h"
#include "agent/tls/refusal.h"

namespace stickmesh::tls {

namespace {

constexpr std::size_t kRecord = SSL3_RT_MAX_PLAIN_LENGTH;
// As much as a connection writes at once: what is not sealed yet can still become newer.
constexpr std::size_t kBatch = 4 * kRecord;
// Answers to requests for other keys come on top of a batch; whoever asks must also take them.
constexpr std::size_t kMaxOutput = 2 * kBatch;

// What every record begins with: its type, here a handshake's or an alert's.
constexpr std::byte kAlert{21};
constexpr std::byte kHandshake{22};

}  // namespace

struct SecureSession::Impl {
  Impl(const Context& shared, Setup session_setup, TimePoint now)
      : context(shared), setup(std::move(session_setup)), started(now), ssl(SSL_new(shared.raw())) {
    if (!ssl) return;
    // Both belong to |ssl| from here on.
    input = BIO_new(BIO_s_mem());
    output = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl.get(), input, output);
    SSL_set_app_data(ssl.get(), &verification);
    if (setup.role == Role::kAccepting) {
      SSL_set_accept_state(ssl.get());
      return;
    }
    SSL_set_connect_state(ssl.get());
    // Written out, since OpenSSL's macro for it casts in C's way.
    SSL_ctrl(ssl.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
             const_cast<char*>(setup.name.c_str()));
    ERR_clear_error();
    SSL_do_handshake(ssl.get());
  }

  std::size_t waiting(BIO* bio) const { return bio != nullptr ? BIO_ctrl_pending(bio) : 0; }

  /// Ends the session; the first reason stays.
  tl::unexpected<Error> fail(Error why) {
    if (!close_reason) close_reason = std::move(why);
    return tl::unexpected<Error>(*close_reason);
  }
  /// OpenSSL allows no further call after this.
  tl::unexpected<Error> give_up() {
    broken = true;
    return fail(refusal(setup.role, verification));
  }
  bool over() const { return close_reason || (inner && inner->close_reason()); }

  void seal();

  const Context& context;
  const Setup setup;
  const TimePoint started;
  Verification verification;
  std::unique_ptr<Session> inner;  ///< null until the handshake is done
  Owned<SSL> ssl;
  BIO* input = nullptr;   ///< records that were not opened yet
  BIO* output = nullptr;  ///< records to be written
  bool greeted = false;   ///< its first byte has come
  bool broken = false;
  bool parted = false;  ///< close_notify is sealed
  bool answers = false;
  std::optional<Error> close_reason;

  /// What |output| holds of |inner|: so many bytes of records, behind others, are so many of its own.
  struct Batch {
    std::size_t ahead = 0;
    std::size_t records = 0, records_sent = 0;
    std::size_t plain = 0, plain_sent = 0;
  };
  Batch batch;
};

// One batch at a time, and the session is told only of what has left: so it waits for the reader as it would
// without TLS.
void SecureSession::Impl::seal() {
  if (!inner || broken || parted || batch.plain != 0) return;
  const Bytes rest = inner->pending();
  const Bytes taken = rest.first(std::min(rest.size(), kBatch));
  const std::size_t ahead = waiting(output);
  ERR_clear_error();
  if (!taken.empty()) {
    std::size_t written = 0;
    if (SSL_write_ex(ssl.get(), taken.data(), taken.size(), &written) != 1) {
      (void)give_up();
      return;
    }
    batch = {ahead, waiting(output) - ahead, 0, taken.size(), 0};
  }
  if (over() && taken.size() == rest.size()) {
    parted = true;
    SSL_shutdown(ssl.get());
  }
}

SecureSession::SecureSession(const Context& context, Setup setup, TimePoint now)
    : impl_(std::make_unique<Impl>(context, std::move(setup), now)) {
  if (impl_->output == nullptr || impl_->input == nullptr)
    (void)impl_->fail({Reason::kNoMemory, "none left for another TLS session"});
}

SecureSession::~SecureSession() = default;

Result<void> SecureSession::receive(Bytes in, TimePoint now) {
  Impl& session = *impl_;
  if (session.close_reason) return tl::unexpected(*session.close_reason);
  if (in.empty()) return {};
  if (!std::exchange(session.greeted, true)) {
    const bool tls = in[0] == kHandshake || (in[0] == kAlert && session.setup.role == Role::kDialling);
    if (!tls) {
      session.broken = true;
      return session.fail(no_tls(session.setup.role));
    }
  }
  std::size_t taken = 0;
  if (BIO_write_ex(session.input, in.data(), in.size(), &taken) != 1) {
    return session.fail({Reason::kNoMemory, "none left for what a TLS session has received"});
  }
  return advance(now);
}

Result<void> SecureSession::advance(TimePoint now) {
  if (!impl_->inner) {
    if (auto shaken = shake_hands(); !shaken) return shaken;
    if (!impl_->inner) return {};
  }
  return open_records(now);
}

Result<void> SecureSession::shake_hands() {
  Impl& session = *impl_;
  ERR_clear_error();
  const int done = SSL_do_handshake(session.ssl.get());
  if (done == 1) return begin();
  if (SSL_get_error(session.ssl.get(), done) == SSL_ERROR_WANT_READ) return {};
  return session.give_up();
}

Result<void> SecureSession::begin() {
  Impl& session = *impl_;
  Certified certified;
  if (session.context.verifies()) {
    const Owned<X509> certificate(SSL_get1_peer_certificate(session.ssl.get()));
    if (!certificate || SSL_get_verify_result(session.ssl.get()) != X509_V_OK)
      return session.fail({Reason::kBadCertificate, "the other side has shown none"});
    certified = dns_names(certificate.get());
  }
  auto made = session.setup.begin(std::move(certified));
  if (!made) return session.fail(made.error());
  session.inner = std::move(*made);
  session.inner->set_wakeup([this] { wake(); });
  // Records hold a little less than their size: until nothing is unread, more may be behind them than there
  // is.
  session.inner->set_unread([this] { return unread() + impl_->waiting(impl_->input); });
  return {};
}

Result<void> SecureSession::open_records(TimePoint now) {
  Impl& session = *impl_;
  std::array<std::byte, kRecord> plain;
  while (wants_input()) {
    std::size_t size = 0;
    ERR_clear_error();
    const int opened = SSL_read_ex(session.ssl.get(), plain.data(), plain.size(), &size);
    if (opened == 1) {
      if (auto taken = session.inner->receive(Bytes(plain).first(size), now); !taken)
        return session.fail(taken.error());
      continue;
    }
    switch (SSL_get_error(session.ssl.get(), opened)) {
      case SSL_ERROR_WANT_READ:
        return {};
      case SSL_ERROR_ZERO_RETURN:
        return session.fail({Reason::kConnectionLost, "closed by the other side"});
      default:
        return session.give_up();
    }
  }
  return {};
}

// Sealing late, when the connection is about to write, joins what was said in many small pieces meanwhile.
Bytes SecureSession::pending() const {
  Impl& session = *impl_;
  if (session.output == nullptr) return {};
  session.seal();
  char* data = nullptr;
  const long size = BIO_get_mem_data(session.output, &data);
  return {reinterpret_cast<const std::byte*>(data), static_cast<std::size_t>(std::max(size, 0L))};
}

void SecureSession::sent(std::size_t size, TimePoint now) {
  Impl& session = *impl_;
  std::array<std::byte, kRecord> dropped;
  for (std::size_t left = size; left > 0;) {
    std::size_t read = 0;
    if (BIO_read_ex(session.output, dropped.data(), std::min(left, dropped.size()), &read) != 1) break;
    left -= read;
  }

  Impl::Batch& batch = session.batch;
  const std::size_t ahead = std::min(size, batch.ahead);
  batch.ahead -= ahead;
  batch.records_sent = std::min(batch.records_sent + size - ahead, batch.records);
  if (batch.plain != 0) {
    // A part of the records counts as the same part of what they hold: a slow reader is not one that stands.
    const std::size_t passed = batch.plain * batch.records_sent / batch.records - batch.plain_sent;
    batch.plain_sent += passed;
    if (batch.records_sent == batch.records) batch = {};
    if (passed > 0) {
      session.answers = true;
      session.inner->sent(passed, now);
    }
  }
  // It may have stopped taking input because of its output.
  if (session.inner && session.waiting(session.input) > 0 && wants_input()) (void)advance(now);
}

std::optional<TimePoint> SecureSession::deadline() const {
  if (impl_->over()) return std::nullopt;
  if (impl_->inner) return impl_->inner->deadline();
  return impl_->started + impl_->setup.handshake_timeout;
}

Result<void> SecureSession::expire(TimePoint now) {
  Impl& session = *impl_;
  if (session.close_reason) return tl::unexpected(*session.close_reason);
  if (!session.inner) {
    if (now < *deadline()) return {};
    return session.fail(handshake_timeout(session.setup.role, session.setup.handshake_timeout));
  }
  if (auto alive = session.inner->expire(now); !alive) return session.fail(alive.error());
  return {};
}

bool SecureSession::wants_input() const {
  if (impl_->over() || impl_->waiting(impl_->output) >= kMaxOutput) return false;
  return !impl_->inner || impl_->inner->wants_input();
}

// Whom this agent has dialled need not give way to strangers.
bool SecureSession::answers() const {
  return impl_->answers || impl_->setup.role == Role::kDialling;
}

void SecureSession::closed(const Error& why, TimePoint now) {
  Impl& session = *impl_;
  if (session.inner) {
    session.inner->closed(why, now);
  } else if (session.setup.failed) {
    // Whoever dials and says nothing may be anybody, such as a check of the port.
    const bool cut = !session.close_reason && (session.greeted || session.setup.role == Role::kDialling);
    session.setup.failed(cut ? handshake_cut(session.setup.role, why) : why, now);
  }
  (void)session.fail(why);
}

const std::optional<Error>& SecureSession::close_reason() const {
  if (impl_->close_reason || !impl_->inner) return impl_->close_reason;
  return impl_->inner->close_reason();
}

}  // namespace stickmesh::tls
