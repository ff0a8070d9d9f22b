#include "tests/bench/load/runtime_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "agent/net/socket_address.h"

namespace stickmesh::bench {

Result<std::unique_ptr<RuntimeSocket>> RuntimeSocket::open(net::Loop& loop, const std::string& path) {
  const Result<net::SocketAddress> address = net::SocketAddress::parse(path);
  if (!address) return tl::unexpected(address.error());
  net::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket || ::connect(socket.get(), address->raw(), address->size()) != 0) {
    return refuse(Reason::kConnectFailed, fmt::format("{}: {}", path, std::strerror(errno)));
  }
  auto opened = std::make_unique<RuntimeSocket>(loop, std::move(socket));
  opened->send("prompt");  // without it HAProxy closes after the first command
  return opened;
}

RuntimeSocket::RuntimeSocket(net::Loop& loop, net::UniqueFd socket)
    : socket_(std::move(socket)), readable_(loop, net::Ready::kToRead, [this] { discard(); }) {
  readable_.start(socket_.get());
}

void RuntimeSocket::send(const std::string& command) {
  const std::string line = command + "\n";
  (void)::send(socket_.get(), line.data(), line.size(), MSG_NOSIGNAL);
}

void RuntimeSocket::discard() {
  std::array<std::byte, 4096> buffer;
  if (::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT) == 0) readable_.stop();
}

}  // namespace stickmesh::bench
