#pragma once

#include <sys/types.h>

#include <cstdint>

namespace stickmesh::bench {

/// CPU time in ns of all threads of |pid| that still live: by the scheduler's account, exact while the
/// process sleeps; in clock ticks where the kernel keeps no such account. 0 when there is no such process.
std::uint64_t cpu_time(pid_t pid);

/// Resident memory of |pid| in bytes; 0 when there is no such process.
std::uint64_t resident_memory(pid_t pid);

}  // namespace stickmesh::bench
