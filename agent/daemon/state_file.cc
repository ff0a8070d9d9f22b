#include "agent/daemon/state_file.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "agent/snapshot/encoder.h"
#include "agent/snapshot/file.h"

namespace stickmesh::daemon {

namespace {

tl::unexpected<Error> failed(std::string_view what) {
  return refuse(Reason::kSystem, fmt::format("the state cannot be {}: {}", what, std::strerror(errno)));
}

}  // namespace

Result<net::UniqueFd> write_state(pipeline::Hub& hub, TimePoint now) {
  net::UniqueFd file(::memfd_create("stickmesh-state", MFD_CLOEXEC));
  if (!file) return failed("passed on");
  snapshot::Encoder encoder(hub, snapshot::Encoder::Scope::kWithoutContributions);
  while (!encoder.done()) {
    for (Bytes part = encoder.next(1, now); !part.empty();) {
      const ssize_t size = ::write(file.get(), part.data(), part.size());
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return failed("passed on");
      part = part.subspan(static_cast<std::size_t>(size));
    }
  }
  return file;
}

Result<void> read_state(int file, pipeline::Hub& hub, TimePoint now) {
  struct stat status {};
  if (::fstat(file, &status) != 0) return failed("read");
  std::vector<std::byte> bytes(static_cast<std::size_t>(status.st_size));
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t size = ::pread(file, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return failed("read");
    at += static_cast<std::size_t>(size);
  }
  const auto counts = snapshot::restore(bytes, hub, now);
  if (!counts) return tl::unexpected(counts.error());
  return {};
}

}  // namespace stickmesh::daemon
