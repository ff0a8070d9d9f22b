#include "tests/unit/tls/authority.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <fstream>

namespace stickmesh::tls {

namespace {

void check(bool done) {
  if (!done) std::abort();
}

void add_extension(X509* certificate, X509* issuer, int kind, const std::string& text) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, text.c_str());
  check(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

X509* begin_certificate(EVP_PKEY* key, const std::string& subject, std::chrono::seconds begins,
                        std::chrono::seconds ends) {
  X509* certificate = X509_new();
  std::uint32_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), begins.count());
  X509_gmtime_adj(X509_getm_notAfter(certificate), ends.count());
  X509_set_pubkey(certificate, key);
  check(X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(subject.data()),
                                   static_cast<int>(subject.size()), -1, 0) == 1);
  return certificate;
}

template <typename Write>
void write_pem(const std::string& path, Write write) {
  BIO* out = BIO_new_file(path.c_str(), "w");
  check(out != nullptr && write(out) == 1);
  BIO_free(out);
}

}  // namespace

struct Authority::Pair {
  explicit Pair(EVP_PKEY* made) : key(made) {}
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  ~Pair() {
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  void write(const std::string& certificate_path, const std::string& key_path) const {
    write_pem(certificate_path, [this](BIO* out) { return PEM_write_bio_X509(out, certificate); });
    write_pem(key_path, [this](BIO* out) {
      return PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
    });
  }

  EVP_PKEY* key;
  X509* certificate = nullptr;
};

Authority::Authority(std::string name) : name_(std::move(name)) {
  std::string folder = (std::filesystem::temp_directory_path() / "stickmesh-tls-XXXXXX").string();
  check(mkdtemp(folder.data()) != nullptr);
  folder_ = folder;
  own_ = std::make_unique<Pair>(EVP_EC_gen("P-256"));
  own_->certificate = begin_certificate(own_->key, name_, std::chrono::hours(-24), std::chrono::hours(24));
  X509_set_issuer_name(own_->certificate, X509_get_subject_name(own_->certificate));
  add_extension(own_->certificate, own_->certificate, NID_basic_constraints, "critical,CA:TRUE");
  check(X509_sign(own_->certificate, own_->key, EVP_sha256()) > 0);
  own_->write(path("ca.pem"), path("ca-key.pem"));
}

Authority::~Authority() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

Files Authority::issue(const Wanted& wanted, const Authority* other) {
  Pair end(EVP_EC_gen("P-256"));
  end.certificate = begin_certificate(end.key, wanted.subject, wanted.begins, wanted.ends);
  X509_set_issuer_name(end.certificate, X509_get_subject_name(own_->certificate));
  std::string names;
  for (const std::string& name : wanted.names) names += (names.empty() ? "DNS:" : ",DNS:") + name;
  if (!names.empty()) add_extension(end.certificate, own_->certificate, NID_subject_alt_name, names);
  if (!wanted.usage.empty())
    add_extension(end.certificate, own_->certificate, NID_ext_key_usage, wanted.usage);
  check(X509_sign(end.certificate, own_->key, EVP_sha256()) > 0);
  const std::string base = std::to_string(++issued_);
  end.write(path(base + ".pem"), path(base + "-key.pem"));
  return {path(base + ".pem"), path(base + "-key.pem"), (other != nullptr ? *other : *this).certificate(),
          true};
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace stickmesh::tls
