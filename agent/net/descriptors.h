#pragma once

#include <cstddef>

namespace stickmesh::net {

/// Lets this process have as many descriptors as the service's unit does, or as its hard limit allows when
/// that is lower: started by hand it would otherwise have 1024, fewer than sessions may be configured. Never
/// lowers the limit. Returns how many it may have now.
std::size_t raise_descriptor_limit();

}  // namespace stickmesh::net
