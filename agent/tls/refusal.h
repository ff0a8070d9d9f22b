#pragma once

#include <openssl/types.h>

#include <string>

#include "agent/base/result.h"
#include "agent/base/time.h"
#include "agent/tls/role.h"

/// What went wrong, in words for the operator. Included by the .cc files of this folder and their tests only.
namespace stickmesh::tls {

/// Why a certificate was refused; empty when none was.
struct Verification {
  int code = 0;  ///< X509_V_OK, or what is wrong
  std::string subject;
  std::string issuer;
  std::string begin;
  std::string end;
};

/// For SSL_CTX_set_verify: fills the |Verification| that is the SSL's app data.
int note_verification(int ok, X509_STORE_CTX* store);

/// Takes OpenSSL's queue of errors, the first one as text.
std::string take_error_text();

/// The first byte of the other side begins no TLS record.
Error no_tls(Role role);
/// OpenSSL has given up; takes its queue of errors.
Error refusal(Role role, const Verification& verification);
Error handshake_timeout(Role role, Duration time);
/// The connection ended for |why| before the handshake did.
Error handshake_cut(Role role, const Error& why);

}  // namespace stickmesh::tls
