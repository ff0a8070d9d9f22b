#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/base/result.h"
#include "agent/net/listener.h"
#include "agent/net/unique_fd.h"

namespace stickmesh::daemon {

/// The sockets that the agent listens on: those of the process before this one, of a soft restart, and of the
/// service manager (socket activation) where they fit, else made anew.
class Sockets {
 public:
  /// To be used by `open`. The first |activated| belong to the service manager, who made their files and
  /// keeps them for whichever process comes next.
  void inherit(std::vector<net::UniqueFd> sockets, std::size_t activated);
  /// |key|: of the config, for errors.
  Result<net::UniqueFd> open(std::string_view key, const std::string& address,
                             const net::ListenOptions& options);
  /// What nobody has opened is accepted on no more. The service manager's are kept, for a config that names
  /// them: others cannot open their addresses.
  void close_rest();
  /// The service manager's that nobody has opened, which the next process may want.
  void add_unused(std::vector<int>& sockets) const;
  /// Whether the socket is the service manager's.
  bool activated(int socket) const;

 private:
  std::vector<net::UniqueFd> inherited_;
  std::vector<int> activated_;
};

}  // namespace stickmesh::daemon
