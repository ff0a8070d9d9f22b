#pragma once

#include <string>
#include <string_view>

#include "agent/base/bytes.h"
#include "agent/base/result.h"

namespace stickmesh {

/// A file of the state directory that is replaced as a whole: a crash leaves the old one or the new one. What
/// is not committed is removed. Errors name the file and say what to look at.
class AtomicFile {
 public:
  static Result<AtomicFile> create(std::string path);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  const std::string& path() const { return path_; }
  Result<void> write(Bytes bytes);
  /// Waits until the disk has everything, which can take seconds, and puts the file in its place. The last
  /// call.
  Result<void> commit();

 private:
  AtomicFile(std::string path, int file) : path_(std::move(path)), file_(file) {}
  std::string fresh() const { return path_ + ".new"; }

  std::string path_;
  int file_;
};

}  // namespace stickmesh
