#include "tests/bench/load/process_usage.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <system_error>

namespace stickmesh::bench {

namespace {

std::uint64_t ticks_as_time(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  // The second field is the program's name in parentheses, which may hold anything.
  file.ignore(std::numeric_limits<std::streamsize>::max(), ')');
  std::string skipped;
  for (int field = 3; field < 14; ++field) file >> skipped;
  std::uint64_t user = 0;
  std::uint64_t system = 0;
  file >> user >> system;
  return (user + system) * (1'000'000'000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK)));
}

}  // namespace

std::uint64_t cpu_time(pid_t pid) {
  std::uint64_t sum = 0;
  std::error_code error;
  for (const auto& thread : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", pid), error)) {
    std::ifstream file(thread.path() / "schedstat");
    std::uint64_t time = 0;
    if (file >> time) sum += time;
  }
  return sum != 0 ? sum : ticks_as_time(pid);
}

std::uint64_t resident_memory(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/statm", pid));
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  file >> size >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace stickmesh::bench
