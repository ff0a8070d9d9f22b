#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/result.h"

namespace stickmesh::tls {

struct Files {
  std::string
      cert;  ///< PEM: the own certificate, then those between it and the authority's; empty: none is shown
  std::string key;     ///< PEM; empty: in the file of |cert|
  std::string ca;      ///< PEM: the authorities that the other side's certificate may be from
  bool verify = true;  ///< false: the other side is not asked for a certificate, or it is not looked at
};

/// What all sessions share: the own certificate and its key, the authorities, and the rules. Read once; files
/// that were renewed are read by the next process. It must outlive its sessions.
class Context {
 public:
  /// An error begins with the key of the config that it is about, and says what to do.
  static Result<std::unique_ptr<Context>> load(const Files& files);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /// Why others may refuse the own certificate, which there is, when this agent calls itself |name|, each
  /// with what to do.
  std::vector<std::string> doubts(std::string_view name) const;
  bool verifies() const;
  SSL_CTX* raw() const { return context_; }

 private:
  explicit Context(SSL_CTX* context) : context_(context) {}
  Result<void> read(const Files& files);
  Result<void> read_own(const Files& files);

  SSL_CTX* const context_;
};

}  // namespace stickmesh::tls
