#include "agent/net/descriptors.h"

#include <sys/resource.h>

#include <algorithm>

namespace stickmesh::net {

namespace {

constexpr rlim_t kWanted = 65536;

}  // namespace

std::size_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlimit raised{std::max(limit.rlim_cur, std::min(limit.rlim_max, kWanted)), limit.rlim_max};
  if (raised.rlim_cur == limit.rlim_cur || ::setrlimit(RLIMIT_NOFILE, &raised) != 0) return limit.rlim_cur;
  return raised.rlim_cur;
}

}  // namespace stickmesh::net
