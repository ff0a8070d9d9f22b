// The named peer of the SPOE rows: an agent that only echoes. It answers every event with `ok` true, and
// reads no more of it than length, type and ids.

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "agent/net/listener.h"
#include "spoe/wire/buffer.h"
#include "spoe/wire/disconnect.h"
#include "spoe/wire/frame.h"
#include "spoe/wire/hello.h"

namespace stickmesh::bench {

namespace {

using spoe::FrameStatus;
using spoe::FrameType;

constexpr std::size_t kInputSize = std::size_t{128} * 1024;
/// HAProxy's buffers may be as small in health checks, which refuse a larger answer (spop.md 1.11).
constexpr std::uint64_t kHealthCheckFrameSize = 4096;
constexpr std::string_view kSetOk = "\x01\x03\x02\x02ok\x11";  // set-var, txn, bool true

struct Client {
  net::UniqueFd socket;
  std::vector<std::byte> input = std::vector<std::byte>(kInputSize);
  std::size_t received = 0;  ///< in |input|
};

/// False: the connection ends.
bool greet(const spoe::Frame& frame, spoe::Buffer& out) {
  const auto hello = spoe::decode_haproxy_hello(frame.header, frame.payload);
  if (!hello) return false;
  const std::uint64_t most = hello->health_check ? kHealthCheckFrameSize : spoe::kMaxHelloLength;
  std::vector<std::byte> answer;
  Writer writer(answer);
  spoe::encode_agent_hello({static_cast<std::uint32_t>(std::min(hello->max_frame_size, most)),
                            /*pipelining=*/true, /*fragmentation=*/false},
                           writer);
  out.append(answer);
  return true;
}

bool answer(const spoe::Frame& frame, spoe::Buffer& out) {
  if (frame.header.type == FrameType::kHaproxyHello) return greet(frame, out);
  if (frame.header.type != FrameType::kNotify) return false;
  const spoe::FrameHeader header{FrameType::kAck, spoe::kFin, frame.header.stream_id, frame.header.frame_id};
  out.commit_to(spoe::encode_frame_head(header, kSetOk.size(), out.room(spoe::kMaxFrameHead)));
  out.append(as_bytes(kSetOk));
  return true;
}

/// One read, and one write of all answers to it.
bool serve(Client& client, spoe::Buffer& out) {
  const ssize_t size = ::recv(client.socket.get(), client.input.data() + client.received,
                              client.input.size() - client.received, 0);
  if (size <= 0) return size < 0 && (errno == EAGAIN || errno == EINTR);
  client.received += static_cast<std::size_t>(size);
  std::size_t at = 0;
  bool open = true;
  while (open) {
    const auto frame =
        spoe::parse_frame(Bytes(client.input).subspan(at, client.received - at), spoe::kMaxHelloLength);
    if (frame.status == FrameStatus::kNeedMore) break;
    open = frame.status == FrameStatus::kFrame && answer(frame, out);
    at += frame.size;
  }
  if (!open) return false;
  std::memmove(client.input.data(), client.input.data() + at, client.received - at);
  client.received -= at;
  // What is in flight on a connection fits the socket's buffer many times over.
  const Bytes pending = out.pending();
  const ssize_t sent = ::send(client.socket.get(), pending.data(), pending.size(), MSG_NOSIGNAL);
  out.consume(pending.size());
  return sent == static_cast<ssize_t>(pending.size());
}

class Echo {
 public:
  explicit Echo(net::UniqueFd listener) : listener_(std::move(listener)), poll_(::epoll_create1(0)) {
    watch(listener_.get());
  }

  void run() {
    epoll_event events[64];
    while (true) {
      const int count = ::epoll_wait(poll_.get(), events, 64, -1);
      for (int index = 0; index < count; ++index) wake(events[index].data.fd);
    }
  }

 private:
  void watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, fd, &event);
  }

  void wake(int fd) {
    if (fd != listener_.get()) {
      const auto client = clients_.find(fd);
      if (!serve(client->second, output_)) clients_.erase(client);
      return;
    }
    net::UniqueFd socket(::accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) return;
    const int accepted = socket.get();
    watch(accepted);
    clients_[accepted].socket = std::move(socket);
  }

  net::UniqueFd listener_;
  net::UniqueFd poll_;
  std::unordered_map<int, Client> clients_;
  spoe::Buffer output_;
};

}  // namespace

}  // namespace stickmesh::bench

int main(int argc, char** argv) {
  using namespace stickmesh;
  if (argc != 2) {
    fmt::print(stderr, "usage: spoe_echo ADDRESS   host:port, a UNIX socket's path, or abns@name\n");
    return 2;
  }
  const auto address = net::SocketAddress::parse(argv[1]);
  auto listener = address ? net::listen_on(*address) : Result<net::UniqueFd>(tl::unexpected(address.error()));
  if (!listener) {
    fmt::print(stderr, "spoe_echo: {}\n", to_string(listener.error()));
    return 1;
  }
  bench::Echo(std::move(*listener)).run();
}
