#include "agent/net/descriptor_channel.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "agent/net/guard.h"

namespace stickmesh::net {

namespace {

constexpr std::size_t kControlSize = CMSG_SPACE(sizeof(int) * DescriptorChannel::kMaxDescriptors);

Result<std::pair<UniqueFd, UniqueFd>> joined(int type) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return refuse(Reason::kSystem, fmt::format("no pair of sockets: {}", std::strerror(errno)));
  }
  return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

std::vector<UniqueFd> descriptors_of(msghdr& message) {
  std::vector<UniqueFd> found;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    std::vector<int> numbers(count);
    std::memcpy(numbers.data(), CMSG_DATA(part), count * sizeof(int));
    for (const int number : numbers) found.emplace_back(number);
  }
  return found;
}

}  // namespace

DescriptorChannel::DescriptorChannel(Loop& loop, UniqueFd socket, OnMessage on_message,
                                     std::function<void()> on_end)
    : socket_(std::move(socket)),
      on_message_(std::move(on_message)),
      on_end_(std::move(on_end)),
      text_(kMaxText),
      readable_(loop, Ready::kToRead, [this] { guarded("a soft restart", [this] { read_one(); }); }) {
  readable_.start(socket_.get());
}

Result<std::pair<UniqueFd, UniqueFd>> DescriptorChannel::make_pair() {
  return joined(SOCK_SEQPACKET);
}

Result<std::pair<UniqueFd, UniqueFd>> DescriptorChannel::make_stream() {
  return joined(SOCK_STREAM);
}

Result<void> DescriptorChannel::send(std::string_view text, std::span<const int> descriptors) {
  return send(socket_.get(), text, descriptors);
}

Result<void> DescriptorChannel::send(int socket, std::string_view text, std::span<const int> descriptors) {
  std::string sent(text.substr(0, kMaxText));
  iovec content{sent.data(), sent.size()};
  alignas(cmsghdr) std::array<char, kControlSize> control{};
  msghdr message{};
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  if (descriptors.size() > kMaxDescriptors) {
    return refuse(Reason::kSystem, fmt::format("{} sockets are more than the {} that can be passed on",
                                               descriptors.size(), kMaxDescriptors));
  }
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* const part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(part), descriptors.data(), descriptors.size_bytes());
  }
  if (::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0) return {};
  return refuse(Reason::kConnectionLost,
                fmt::format("the other process cannot be told: {}", std::strerror(errno)));
}

void DescriptorChannel::read_all() {
  while (readable_.active() && read_one()) {
  }
}

bool DescriptorChannel::read_one() {
  alignas(cmsghdr) std::array<char, kControlSize> control{};
  iovec content{text_.data(), text_.size()};
  msghdr message{};
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t size = 0;
  // That the other side has closed without having read everything is told before its last message is.
  do {
    size = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && (errno == EINTR || errno == ECONNRESET));
  if (size < 0 && errno == EAGAIN) return false;
  if (size <= 0) {
    readable_.stop();
    on_end_();
    return false;
  }
  on_message_({text_.data(), static_cast<std::size_t>(size)}, descriptors_of(message));
  return true;
}

}  // namespace stickmesh::net
