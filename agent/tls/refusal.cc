#include "agent/tls/refusal.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "agent/base/table_definition.h"
#include "agent/tls/certificate.h"

namespace stickmesh::tls {

namespace {

Reason reason_of(int verification) {
  switch (verification) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return Reason::kCertificateExpired;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_INVALID_CA:
      return Reason::kUnknownAuthority;
    default:
      return Reason::kBadCertificate;
  }
}

std::string advice_for(const Verification& found) {
  switch (found.code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return fmt::format("expired at {}: renew it there", found.end);
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return fmt::format("is not valid before {}: is a clock wrong?", found.begin);
    case X509_V_ERR_INVALID_PURPOSE:
      return "is for another purpose: a certificate that both dials and accepts needs serverAuth and "
             "clientAuth in its extendedKeyUsage, or none";
    default:
      break;
  }
  const std::string_view words = X509_verify_cert_error_string(found.code);
  if (reason_of(found.code) != Reason::kUnknownAuthority) return std::string(words);
  return fmt::format(
      "is from the authority {}, which is not in the file of `ca` ({}): add it there, or give the other side "
      "a certificate of one that is",
      found.issuer, words);
}

// An alert that says that our certificate is the problem.
bool is_about_certificates(int alert) {
  switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED:
      return true;
    default:
      return false;
  }
}

}  // namespace

int note_verification(int ok, X509_STORE_CTX* store) {
  if (ok != 0) return ok;
  const auto* ssl =
      static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* found = static_cast<Verification*>(SSL_get_app_data(ssl));
  const X509* certificate = X509_STORE_CTX_get_current_cert(store);
  // An exception must not pass through OpenSSL; the code alone says enough.
  found->code = X509_STORE_CTX_get_error(store);
  if (certificate == nullptr) return ok;
  try {
    found->subject = subject_of(certificate);
    found->issuer = issuer_of(certificate);
    found->begin = time_text(X509_get0_notBefore(certificate));
    found->end = time_text(X509_get0_notAfter(certificate));
  } catch (...) {
    return ok;
  }
  return ok;
}

std::string take_error_text() {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(error);
  return reason != nullptr ? reason : fmt::format("error {:x}", error);
}

Error no_tls(Role role) {
  if (role == Role::kAccepting) {
    return {Reason::kNoTls,
            "what came is no TLS, and this port takes nothing else: in haproxy.cfg add `ssl crt ... ca-file "
            "... verify required` to the `server` line of this agent, in another agent's config [peers.tls]"};
  }
  return {Reason::kNoTls,
          "what was answered is no TLS: in haproxy.cfg add `ssl crt ... ca-file ... verify required` to the "
          "`bind` line of the peers section, in another agent's config [peers.tls]"};
}

Error refusal(Role role, const Verification& verification) {
  const unsigned long error = ERR_peek_error();
  const int reason = ERR_GET_REASON(error);
  std::string text = take_error_text();
  // What stands first in the queue may be why a signature did not fit.
  if (verification.code != X509_V_OK) {
    return {reason_of(verification.code),
            fmt::format("the certificate of {} {}", verification.subject, advice_for(verification))};
  }
  if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
    return {Reason::kBadCertificate,
            "the other side has shown no certificate: add `crt FILE` to its `server` line of this agent"};
  }
  if (reason > SSL_AD_REASON_OFFSET && is_about_certificates(reason - SSL_AD_REASON_OFFSET)) {
    return {Reason::kCertificateRefused,
            fmt::format("the other side does not accept the certificate of this agent ({}): compare its "
                        "`ca-file` and clock with `cert` here",
                        text)};
  }
  return {Reason::kTlsFailed,
          fmt::format("{} ({})", text, role == Role::kAccepting ? "it dialled" : "this agent dialled")};
}

Error handshake_timeout(Role role, Duration time) {
  return {Reason::kHandshakeTimeout,
          fmt::format("no TLS in {}: {}", describe(time),
                      role == Role::kAccepting ? "whoever dials this port has to speak it"
                                               : "does the other side have `ssl` in its `bind` line?")};
}

Error handshake_cut(Role role, const Error& why) {
  if (why.reason != Reason::kConnectionLost) return why;
  return {why.reason, fmt::format("{}, during the TLS handshake{}", why.detail,
                                  role == Role::kAccepting
                                      ? ""
                                      : ": does the other side have `ssl` in its `bind` line, and what does "
                                        "its log say?")};
}

}  // namespace stickmesh::tls
