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

Result<net::UniqueFd> make_file() {
  net::UniqueFd file(::memfd_create("stickmesh-state", MFD_CLOEXEC));
  if (!file) return failed("passed on");
  return file;
}

Result<void> append(int file, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::write(file, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return failed("passed on");
    bytes = bytes.subspan(static_cast<std::size_t>(size));
  }
  return {};
}

}  // namespace

Result<net::UniqueFd> file_of(Bytes bytes) {
  auto file = make_file();
  if (!file) return file;
  if (auto written = append(file->get(), bytes); !written) return tl::unexpected(written.error());
  return file;
}

Result<std::vector<std::byte>> content_of(int file) {
  struct stat status {};
  if (::fstat(file, &status) != 0) return failed("read");
  std::vector<std::byte> bytes(static_cast<std::size_t>(status.st_size));
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t size = ::pread(file, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return failed("read");
    at += static_cast<std::size_t>(size);
  }
  return bytes;
}

Result<net::UniqueFd> write_state(pipeline::Hub& hub, TimePoint now) {
  auto file = make_file();
  if (!file) return file;
  snapshot::Encoder encoder(hub, snapshot::Encoder::Scope::kWithoutContributions);
  while (!encoder.done()) {
    if (auto written = append(file->get(), encoder.next(1, now)); !written)
      return tl::unexpected(written.error());
  }
  return file;
}

Result<void> read_state(int file, pipeline::Hub& hub, TimePoint now) {
  const auto bytes = content_of(file);
  if (!bytes) return tl::unexpected(bytes.error());
  const auto counts = snapshot::restore(*bytes, hub, now);
  if (!counts) return tl::unexpected(counts.error());
  return {};
}

}  // namespace stickmesh::daemon
