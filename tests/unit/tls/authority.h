#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "agent/tls/context.h"

namespace stickmesh::tls {

/// What a certificate says; times are relative to now.
struct Wanted {
  std::vector<std::string> names;
  std::chrono::seconds begins{-60};
  std::chrono::seconds ends{3600};
  std::string usage{};        ///< extendedKeyUsage; empty: none
  std::string subject = "x";  ///< its common name, which must not matter
};

/// Keys and certificates for tests, made anew in every run, in a folder that goes with this object.
class Authority {
 public:
  explicit Authority(std::string name);
  ~Authority();
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  /// The own certificate of one end, whose other end is to be from |other|, by default from here as well.
  Files issue(const Wanted& wanted, const Authority* other = nullptr);
  std::string certificate() const { return path("ca.pem"); }
  std::string path(const std::string& file) const { return (folder_ / file).string(); }

 private:
  struct Pair;

  std::filesystem::path folder_;
  std::string name_;
  std::unique_ptr<Pair> own_;
  int issued_ = 0;
};

void write_file(const std::string& path, const std::string& text);

}  // namespace stickmesh::tls
