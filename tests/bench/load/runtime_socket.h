#pragma once

#include <memory>
#include <string>

#include "agent/base/result.h"
#include "agent/net/io_watcher.h"
#include "agent/net/loop.h"
#include "agent/net/unique_fd.h"

namespace stickmesh::bench {

/// A lasting connection to HAProxy's runtime socket. What it answers is thrown away.
class RuntimeSocket {
 public:
  static Result<std::unique_ptr<RuntimeSocket>> open(net::Loop& loop, const std::string& path);

  RuntimeSocket(net::Loop& loop, net::UniqueFd socket);
  RuntimeSocket(const RuntimeSocket&) = delete;
  RuntimeSocket& operator=(const RuntimeSocket&) = delete;

  /// One command, which must be short enough for the socket's buffer.
  void send(const std::string& command);

 private:
  void discard();

  net::UniqueFd socket_;
  net::IoWatcher readable_;
};

}  // namespace stickmesh::bench
