#include "tests/bench/spoe/load_client.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "spoe/wire/ack.h"
#include "spoe/wire/hello.h"

namespace stickmesh::bench {

namespace {

/// What HAProxy announces with buffers of the usual size.
constexpr std::size_t kFrameSize = 16380;
constexpr std::size_t kInputSize = std::size_t{128} * 1024;

tl::unexpected<Error> lost(std::string_view call) {
  return refuse(Reason::kConnectionLost, fmt::format("{}: {}", call, std::strerror(errno)));
}

bool says_ok(Bytes payload) {
  spoe::ActionReader actions(payload);
  bool ok = false;
  while (const auto action = actions.next()) {
    if (action->name == "ok") ok = action->set && action->value == spoe::Value::boolean(true);
  }
  return ok && actions.ok();
}

}  // namespace

LoadClient::LoadClient(net::UniqueFd socket, std::size_t in_flight)
    : socket_(std::move(socket)), input_(kInputSize) {
  for (std::size_t index = 0; index < in_flight; ++index) slots_.push_back({index + 1});
}

Result<LoadClient> LoadClient::open(const net::SocketAddress& server, std::size_t in_flight) {
  net::UniqueFd socket(::socket(server.raw()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket || ::connect(socket.get(), server.raw(), server.size()) != 0) {
    return lost("connect");
  }
  const int on = 1;
  if (server.is_ip()) ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::fcntl(socket.get(), F_SETFL, O_NONBLOCK) != 0) return lost("fcntl");
  LoadClient client(std::move(socket), in_flight);
  if (auto done = client.shake_hands(); !done) return tl::unexpected(done.error());
  return client;
}

Result<void> LoadClient::shake_hands() {
  std::vector<std::byte> hello;
  Writer writer(hello);
  spoe::encode_haproxy_hello(
      {kFrameSize, /*pipelining=*/true, /*async=*/false, /*health_check=*/false, "load"}, writer);
  output_.append(hello);
  if (auto sent = flush(); !sent) return sent;
  std::size_t at = 0;
  spoe::Frame frame;
  while (frame.status == spoe::FrameStatus::kNeedMore) {
    pollfd polled{fd(), POLLIN, 0};
    if (::poll(&polled, 1, kPatienceMs) <= 0)
      return refuse(Reason::kHandshakeTimeout, "HELLO was not answered");
    if (auto done = read(); !done) return done;
    frame = next_frame(at);
  }
  const auto answer = spoe::decode_agent_hello(frame.payload);
  if (frame.status != spoe::FrameStatus::kFrame || frame.header.type != spoe::FrameType::kAgentHello ||
      !answer || at != received_) {
    return refuse(Reason::kBadHello, "HELLO was not answered with HELLO");
  }
  if (!answer->pipelining)
    return refuse(Reason::kBadHello, "the server does not take several events at once");
  received_ = 0;
  return {};
}

Result<void> LoadClient::begin(Work& work) {
  work_ = &work;
  const auto now = Clock::now();
  for (Slot& slot : slots_) start(slot, now);
  return flush();
}

Result<void> LoadClient::receive() {
  if (auto done = read(); !done) return done;
  const auto now = Clock::now();
  std::size_t at = 0;
  spoe::Frame frame;
  while ((frame = next_frame(at)).status != spoe::FrameStatus::kNeedMore) {
    if (auto taken = take_answer(frame, now); !taken) return taken;
  }
  std::memmove(input_.data(), input_.data() + at, received_ - at);
  received_ -= at;
  return flush();
}

Result<void> LoadClient::read() {
  const ssize_t size = ::recv(fd(), input_.data() + received_, input_.size() - received_, 0);
  if (size == 0) return refuse(Reason::kConnectionLost, "closed by the server");
  if (size > 0) {
    received_ += static_cast<std::size_t>(size);
  } else if (errno != EAGAIN && errno != EINTR) {
    return lost("recv");
  }
  return {};
}

spoe::Frame LoadClient::next_frame(std::size_t& at) {
  const spoe::Frame frame = spoe::parse_frame(Bytes(input_).subspan(at, received_ - at), kFrameSize);
  if (frame.status == spoe::FrameStatus::kFrame) at += frame.size;
  return frame;
}

Result<void> LoadClient::take_answer(const spoe::Frame& frame, Clock::time_point now) {
  const spoe::FrameHeader& header = frame.header;
  if (frame.status != spoe::FrameStatus::kFrame || header.type != spoe::FrameType::kAck || !header.fin()) {
    return refuse(Reason::kBadFrame,
                  fmt::format("a frame of type {} is no whole ACK", static_cast<unsigned>(header.type)));
  }
  Slot& slot = slots_[(header.stream_id - 1) % slots_.size()];
  if (header.stream_id != slot.stream_id || header.frame_id != 1 || !slot.in_flight) {
    return refuse(Reason::kBadFrame,
                  fmt::format("no event {}.{} is in flight", header.stream_id, header.frame_id));
  }
  if (!says_ok(frame.payload)) {
    return refuse(Reason::kBadMessage, fmt::format("event {} was not answered with ok", header.stream_id));
  }
  const std::chrono::nanoseconds took = now - slot.sent;
  work_->times.push_back(static_cast<std::uint32_t>(took.count()));
  slot.in_flight = false;
  slot.stream_id += slots_.size();
  start(slot, now);
  return {};
}

void LoadClient::start(Slot& slot, Clock::time_point now) {
  if (work_->left == 0) return;
  --work_->left;
  const Bytes payload = work_->payloads.next();
  const spoe::FrameHeader header{spoe::FrameType::kNotify, spoe::kFin, slot.stream_id, 1};
  output_.commit_to(spoe::encode_frame_head(header, payload.size(), output_.room(spoe::kMaxFrameHead)));
  output_.append(payload);
  slot.in_flight = true;
  slot.sent = now;
}

Result<void> LoadClient::flush() {
  while (!output_.empty()) {
    const Bytes pending = output_.pending();
    const ssize_t size = ::send(fd(), pending.data(), pending.size(), MSG_NOSIGNAL);
    if (size < 0 && errno == EAGAIN) return {};
    if (size < 0 && errno != EINTR) return lost("send");
    if (size > 0) output_.consume(static_cast<std::size_t>(size));
  }
  return {};
}

}  // namespace stickmesh::bench
