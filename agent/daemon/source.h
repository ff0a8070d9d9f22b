#pragma once

#include "agent/net/socket_address.h"
#include "agent/pipeline/peer.h"

namespace stickmesh::daemon {

pipeline::Source source_of(const net::SocketAddress& address);

}  // namespace stickmesh::daemon
