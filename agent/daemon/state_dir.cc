#include "agent/daemon/state_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace stickmesh::daemon {

namespace {

std::string this_user() {
  const uid_t id = ::geteuid();
  const passwd* const entry = ::getpwuid(id);
  return entry == nullptr ? fmt::format("{}", id) : entry->pw_name;
}

std::string advice(const std::string& path, int error) {
  switch (error) {
    case ENOENT:
      return fmt::format("create it, as a directory of the user {}", this_user());
    case ENOTDIR:
      return "name a directory";
    case EACCES:
      return fmt::format("the user {} must be allowed to write there (chown {} {})", this_user(), this_user(),
                         path);
    case EROFS:
      return "mount it writable; a service needs StateDirectory= or ReadWritePaths= for it";
    default:
      return "mend that";
  }
}

}  // namespace

Result<void> check_state_dir(const std::string& path) {
  struct stat status {};
  int error = ::stat(path.c_str(), &status) == 0 ? 0 : errno;
  if (error == 0 && !S_ISDIR(status.st_mode)) error = ENOTDIR;
  if (error == 0 && ::faccessat(AT_FDCWD, path.c_str(), W_OK | X_OK, AT_EACCESS) != 0) error = errno;
  if (error == 0) return {};
  return refuse(Reason::kSystem,
                fmt::format("[agent] state-dir = \"{}\" cannot be used: {}: {}, or choose another", path,
                            std::strerror(error), advice(path, error)));
}

}  // namespace stickmesh::daemon
