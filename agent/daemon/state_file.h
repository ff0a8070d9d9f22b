#pragma once

#include <vector>

#include "agent/base/bytes.h"
#include "agent/base/result.h"
#include "agent/net/unique_fd.h"
#include "agent/pipeline/hub.h"

namespace stickmesh::daemon {

/// Bytes for another process of this host, in a file that has no name.
Result<net::UniqueFd> file_of(Bytes bytes);
Result<std::vector<std::byte>> content_of(int file);

/// What the new process of a soft restart has to know besides contributions, in such a file.
Result<net::UniqueFd> write_state(pipeline::Hub& hub, TimePoint now);
/// Lays it over what |hub| has.
Result<void> read_state(int file, pipeline::Hub& hub, TimePoint now);

}  // namespace stickmesh::daemon
