#pragma once

#include <span>
#include <vector>

#include "agent/base/result.h"
#include "agent/net/socket_address.h"
#include "agent/net/unique_fd.h"
#include "spoe/session/state.h"

namespace stickmesh::daemon {

/// A connected socket of HAProxy's, and how far its session is, on their way to another process.
struct SpoeSocket {
  int socket = -1;  ///< the sender's
  net::SocketAddress from;
  spoe::SavedSession session;
};

/// What goes in one message of a `net::DescriptorChannel`: the sockets, behind a file without a name that
/// says of each how far it is.
struct SpoeParcel {
  net::UniqueFd file;
  std::vector<int> sockets;
};

Result<std::vector<SpoeParcel>> pack(std::span<const SpoeSocket> sockets);

struct ReceivedSpoeSocket {
  net::UniqueFd socket;
  net::SocketAddress from;
  spoe::SavedSession session;
};

/// The other end: |descriptors| are the file and the sockets. An error when they do not belong together.
Result<std::vector<ReceivedSpoeSocket>> unpack(std::vector<net::UniqueFd> descriptors);

}  // namespace stickmesh::daemon
