#include "agent/snapshot/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <optional>

#include "agent/base/log.h"
#include "agent/snapshot/decoder.h"
#include "agent/snapshot/restoration.h"

namespace stickmesh::snapshot {

namespace {

/// The bytes of a file that nobody changes: a snapshot is only ever replaced as a whole.
class Mapped {
 public:
  Mapped() = default;
  Mapped(void* start, std::size_t size) : start_(start), size_(size) {}
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  Mapped(Mapped&& other) noexcept : start_(std::exchange(other.start_, nullptr)), size_(other.size_) {}
  ~Mapped() {
    if (start_ != nullptr) ::munmap(start_, size_);
  }
  Bytes bytes() const { return {static_cast<const std::byte*>(start_), start_ == nullptr ? 0 : size_}; }

 private:
  void* start_ = nullptr;
  std::size_t size_ = 0;
};

tl::unexpected<Error> cannot_read(int error) {
  return refuse(Reason::kSystem, fmt::format("it cannot be read: {}", std::strerror(error)));
}

/// Nothing when there is no file.
Result<std::optional<Mapped>> map(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0 && errno == ENOENT) return std::nullopt;
  if (file < 0) return cannot_read(errno);
  struct stat status {};
  const bool known = ::fstat(file, &status) == 0;
  const int error = known ? EINVAL : errno;
  if (!known || !S_ISREG(status.st_mode)) {
    ::close(file);
    return cannot_read(error);
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  void* start = size == 0 ? nullptr : ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  const int refused = errno;
  ::close(file);
  if (start == MAP_FAILED) return cannot_read(refused);
  return Mapped(start, size);
}

class Heading final : public Receiver {
 public:
  void header(const Header& header) override { header_ = header; }
  const Header& operator*() const { return header_; }

 private:
  Header header_;
};

}  // namespace

Result<Restoration::Counts> restore(Bytes file, pipeline::Hub& hub, TimePoint now) {
  Heading heading;
  if (auto checked = decode(file, heading); !checked) return tl::unexpected(checked.error());
  const std::string& name = hub.setup().agent_name;
  if ((*heading).agent != name) {
    return refuse(Reason::kBadSnapshot,
                  fmt::format("it is the agent {}'s, and this one is called {}", (*heading).agent, name));
  }
  Restoration restoration(hub, now);
  if (auto decoded = decode(file, restoration); !decoded) return tl::unexpected(decoded.error());
  return restoration.finish();
}

std::string snapshot_path(const std::string& state_dir) {
  return state_dir + "/snapshot.msgpack";
}

Result<bool> load(const std::string& path, pipeline::Hub& hub, TimePoint now) {
  const auto file = map(path);
  if (file && !*file) return false;
  const Result<Restoration::Counts> restored =
      file ? restore((*file)->bytes(), hub, now) : tl::unexpected(file.error());
  if (restored) {
    log::notice("snapshot: {} contributions restored; {} had expired, {} were left out", restored->restored,
                restored->expired, restored->left_out);
    return true;
  }
  const std::string aside = path + ".refused";
  Error error = restored.error();
  if (std::rename(path.c_str(), aside.c_str()) == 0) {
    error.detail = fmt::format("{} is refused: {}; it lies now in {}, and the agent starts without it", path,
                               error.detail, aside);
  } else {
    error.detail = fmt::format("{} is refused: {}; the agent starts without it, and cannot set it aside: {}",
                               path, error.detail, std::strerror(errno));
  }
  return tl::unexpected(std::move(error));
}

Result<std::unique_ptr<Saving>> Saving::begin(const std::string& path, pipeline::Hub& hub) {
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file) return tl::unexpected(file.error());
  return std::unique_ptr<Saving>(new Saving(std::move(*file), hub));
}

Result<bool> Saving::step(std::size_t contributions, TimePoint now) {
  if (auto written = file_.write(encoder_.next(contributions, now)); !written)
    return tl::unexpected(written.error());
  return encoder_.done();
}

Result<void> save(const std::string& path, pipeline::Hub& hub, TimePoint now) {
  // Few enough that their bytes stay in the cache.
  constexpr std::size_t kAtOnce = 10'000;
  auto saving = Saving::begin(path, hub);
  if (!saving) return tl::unexpected(saving.error());
  for (bool done = false; !done;) {
    const Result<bool> stepped = (*saving)->step(kAtOnce, now);
    if (!stepped) return tl::unexpected(stepped.error());
    done = *stepped;
  }
  return (*saving)->commit();
}

}  // namespace stickmesh::snapshot
