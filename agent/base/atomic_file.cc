#include "agent/base/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace stickmesh {

namespace {

tl::unexpected<Error> failed(std::string_view what, const std::string& path, int error) {
  return refuse(Reason::kSystem,
                fmt::format("{} {}: {}; check [agent] state-dir", what, path, std::strerror(error)));
}

}  // namespace

Result<AtomicFile> AtomicFile::create(std::string path) {
  const std::string fresh = path + ".new";
  const int file = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (file < 0) return failed("cannot write", fresh, errno);
  return AtomicFile(std::move(path), file);
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)), file_(std::exchange(other.file_, -1)) {}

AtomicFile::~AtomicFile() {
  if (file_ < 0) return;
  ::close(file_);
  ::unlink(fresh().c_str());
}

Result<void> AtomicFile::write(Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::write(file_, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return failed("cannot write", fresh(), errno);
    bytes = bytes.subspan(static_cast<std::size_t>(size));
  }
  return {};
}

Result<void> AtomicFile::commit() {
  if (::fsync(file_) != 0) return failed("cannot write", fresh(), errno);
  if (std::rename(fresh().c_str(), path_.c_str()) != 0) return failed("cannot replace", path_, errno);
  ::close(std::exchange(file_, -1));
  return {};
}

}  // namespace stickmesh
