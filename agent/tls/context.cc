#include "agent/tls/context.h"

#include <fmt/format.h>
#include <openssl/err.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "agent/base/host_name.h"
#include "agent/tls/certificate.h"
#include "agent/tls/openssl.h"
#include "agent/tls/refusal.h"

namespace stickmesh::tls {

namespace {

tl::unexpected<Error> unusable(std::string_view key, std::string_view path, std::string_view why) {
  return refuse(Reason::kSystem, fmt::format("{}: {}: {}", key, path, why));
}

// OpenSSL's own words for a file that is not there or may not be read are of no help.
Result<void> check_readable(std::string_view key, const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "re");
  const int error = errno;
  if (file != nullptr) {
    std::fclose(file);
    return {};
  }
  return unusable(key, path,
                  fmt::format("{}{}", std::strerror(error),
                              error == EACCES ? "; let the user of stickmeshd read it" : ""));
}

// A daemon has nobody to ask for a passphrase.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

bool says(const std::vector<std::string>& names, std::string_view wanted) {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return same_host_name(name, wanted); });
}

}  // namespace

Result<std::unique_ptr<Context>> Context::load(const Files& files) {
  ERR_clear_error();
  SSL_CTX* raw = SSL_CTX_new(TLS_method());
  if (raw == nullptr) return refuse(Reason::kSystem, "OpenSSL: " + take_error_text());
  std::unique_ptr<Context> context(new Context(raw));
  if (auto done = context->read(files); !done) return tl::unexpected(done.error());

  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  // Whoever returns shows a certificate again, so that one that ran out meanwhile is refused.
  SSL_CTX_set_options(raw, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_num_tickets(raw, 0);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  // Most sessions are silent most of the time; 32 KiB of buffers each would be for nothing.
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_verify(raw, files.verify ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_NONE,
                     files.verify ? note_verification : nullptr);
  return context;
}

Context::~Context() {
  SSL_CTX_free(context_);
}

Result<void> Context::read(const Files& files) {
  if (!files.cert.empty()) {
    if (auto own = read_own(files); !own) return own;
  }
  if (!files.verify) return {};
  if (auto readable = check_readable("ca", files.ca); !readable) return readable;
  if (SSL_CTX_load_verify_file(context_, files.ca.c_str()) != 1) {
    return unusable("ca", files.ca,
                    fmt::format("no certificate of an authority in PEM format ({})", take_error_text()));
  }
  return {};
}

Result<void> Context::read_own(const Files& files) {
  const std::string& key = files.key.empty() ? files.cert : files.key;
  const std::string_view key_name = files.key.empty() ? "cert" : "key";
  if (auto readable = check_readable("cert", files.cert); !readable) return readable;
  if (auto readable = check_readable(key_name, key); !readable) return readable;

  SSL_CTX_set_default_passwd_cb(context_, no_passphrase);
  if (SSL_CTX_use_certificate_chain_file(context_, files.cert.c_str()) != 1) {
    return unusable("cert", files.cert,
                    fmt::format("no usable certificate in PEM format ({})", take_error_text()));
  }
  if (SSL_CTX_use_PrivateKey_file(context_, key.c_str(), SSL_FILETYPE_PEM) != 1) {
    const int reason = ERR_GET_REASON(ERR_peek_error());
    if (reason == X509_R_KEY_VALUES_MISMATCH || reason == X509_R_KEY_TYPE_MISMATCH) {
      ERR_clear_error();
      return unusable(key_name, key, fmt::format("is not the key of the certificate in {}", files.cert));
    }
    return unusable(
        key_name, key,
        fmt::format("no usable private key in PEM format, without a passphrase ({})", take_error_text()));
  }
  if (SSL_CTX_check_private_key(context_) != 1) {
    ERR_clear_error();
    return unusable(key_name, key, fmt::format("is not the key of the certificate in {}", files.cert));
  }
  return {};
}

bool Context::verifies() const {
  return SSL_CTX_get_verify_mode(context_) != SSL_VERIFY_NONE;
}

std::vector<std::string> Context::doubts(std::string_view name) const {
  std::vector<std::string> all;
  X509* certificate = SSL_CTX_get0_certificate(context_);
  const ASN1_TIME* begin = X509_get0_notBefore(certificate);
  const ASN1_TIME* end = X509_get0_notAfter(certificate);
  if (X509_cmp_current_time(end) < 0) {
    all.push_back(fmt::format("has expired at {}: renew it and restart this agent", time_text(end)));
  } else if (X509_cmp_current_time(begin) > 0) {
    all.push_back(fmt::format("is not valid before {}: is the clock of this host right?", time_text(begin)));
  }
  if (!says(dns_names(certificate), name)) {
    all.push_back(
        fmt::format("does not carry the name of this agent: issue it with subjectAltName = DNS:{}", name));
  }
  for (const auto& [purpose, use] :
       {std::pair{X509_PURPOSE_SSL_SERVER, "serverAuth"}, std::pair{X509_PURPOSE_SSL_CLIENT, "clientAuth"}}) {
    if (X509_check_purpose(certificate, purpose, /*ca=*/0) == 1) continue;
    all.push_back(
        fmt::format("is not for {0}: issue it with {0} in its extendedKeyUsage, or without any", use));
  }
  ERR_clear_error();
  return all;
}

}  // namespace stickmesh::tls
