#pragma once

#include <cstdint>

namespace stickmesh::bench {

/// Keys are numbered from 0; on the wire they are spread over all IPv4 addresses, and can be told back.
std::uint32_t spread(std::uint32_t index);
std::uint32_t gather(std::uint32_t key);

}  // namespace stickmesh::bench
