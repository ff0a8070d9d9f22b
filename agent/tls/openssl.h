#pragma once

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>

/// Owners of OpenSSL's objects. Included by the .cc files of this folder and their tests only.
namespace stickmesh::tls {

struct Free {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};

template <typename T>
using Owned = std::unique_ptr<T, Free>;

}  // namespace stickmesh::tls
