#include "agent/net/connector.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace stickmesh::net {

namespace {

std::string_view advice_for(int error) {
  switch (error) {
    case ECONNREFUSED:
      return ": nothing listens there";
    case ENOENT:
      return ": no such socket";
    case EAGAIN:
      return ": its queue of connections is full";
    default:
      return "";
  }
}

int pending_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

// TCP joins a socket to itself when the kernel gave it, as its own, the very local port that it dials.
bool is_own_reflection(int fd, const SocketAddress& remote) {
  return remote.is_ip() && SocketAddress::local(fd) == remote;
}

}  // namespace

Connector::Connector(Loop& loop, OnDone on_done)
    : loop_(loop),
      on_done_(std::move(on_done)),
      writable_(loop, Ready::kToWrite, [this] { finish(pending_error(socket_.get())); }),
      timeout_(loop, [this] { fail(fmt::format("no answer within {} ms", patience_.count())); }),
      ended_at_once_(loop, [this] { finish(error_); }) {}

void Connector::start(const SocketAddress& address, Duration patience) {
  cancel();
  address_ = address;
  patience_ = patience;
  busy_ = true;
  error_ = begin();
  if (error_ == EINPROGRESS) {
    writable_.start(socket_.get());
    timeout_.set(loop_.now() + patience);
  } else {
    ended_at_once_.schedule();
  }
}

int Connector::begin() {
  socket_.reset(::socket(address_.raw()->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_) return errno;
  return ::connect(socket_.get(), address_.raw(), address_.size()) == 0 ? 0 : errno;
}

void Connector::cancel() {
  writable_.stop();
  timeout_.stop();
  ended_at_once_.cancel();
  socket_.reset();
  busy_ = false;
}

void Connector::finish(int error) {
  if (error == 0 && is_own_reflection(socket_.get(), address_)) error = ECONNREFUSED;
  if (error != 0) return fail(fmt::format("{}{}", std::strerror(error), advice_for(error)));
  UniqueFd socket = std::move(socket_);
  cancel();
  on_done_(std::move(socket));
}

void Connector::fail(std::string_view why) {
  cancel();
  on_done_(
      refuse(Reason::kConnectFailed, fmt::format("cannot connect to {}: {}", address_.to_string(), why)));
}

}  // namespace stickmesh::net
