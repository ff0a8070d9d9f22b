#include "agent/net/listener.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "agent/base/log.h"
#include "agent/net/guard.h"

namespace stickmesh::net {

namespace {

constexpr int kAcceptsPerWakeup = 16;
constexpr Duration kBackOff{100};
constexpr std::chrono::seconds kComplainEvery{10};

}  // namespace

Listener::Listener(Loop& loop, UniqueFd socket, OnAccept on_accept)
    : loop_(loop),
      socket_(std::move(socket)),
      address_(SocketAddress::local(socket_.get())),
      on_accept_(std::move(on_accept)),
      readable_(loop, Ready::kToRead, [this] { accept_some(); }),
      retry_(loop, [this] { readable_.start(socket_.get()); }) {
  resume();
}

void Listener::pause() {
  readable_.stop();
  retry_.stop();
}

void Listener::resume() {
  readable_.start(socket_.get());
}

void Listener::accept_some() {
  for (int accepted = 0; accepted < kAcceptsPerWakeup && readable_.active(); ++accepted) {
    sockaddr_storage peer{};
    auto* const raw = reinterpret_cast<sockaddr*>(&peer);
    socklen_t size = sizeof peer;
    UniqueFd fd(::accept4(socket_.get(), raw, &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      const int error = errno;
      if (error == EAGAIN) return;
      if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) return back_off(error);
      continue;  // that one connection died in the queue
    }
    // A refusal of one connection must not keep the others of this wake-up waiting.
    guarded("an accepted connection", [&] { on_accept_(std::move(fd), SocketAddress(raw, size)); });
  }
}

// The connection stays in the queue, so the socket stays readable: without a pause the loop would spin.
void Listener::back_off(int error) {
  readable_.stop();
  retry_.set(loop_.now() + kBackOff);
  if (complained_ != TimePoint{} && loop_.now() - complained_ < kComplainEvery) return;
  complained_ = loop_.now();
  const bool descriptors = error == EMFILE || error == ENFILE;
  log::warning("cannot accept on {}: {}: trying again every {} ms; {}", address_.to_string(),
               std::strerror(error), kBackOff.count(),
               descriptors ? "raise LimitNOFILE= of the service" : "the system is out of memory");
}

}  // namespace stickmesh::net
