#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/result.h"
#include "agent/net/io_watcher.h"
#include "agent/net/loop.h"
#include "agent/net/unique_fd.h"

namespace stickmesh::net {

/// One end of a pair of sockets between two processes of this host: short messages in text, and descriptors
/// with them.
class DescriptorChannel {
 public:
  static constexpr std::size_t kMaxText = 65536;
  static constexpr std::size_t kMaxDescriptors = 250;  ///< below the kernel's 253

  using OnMessage = std::function<void(std::string_view text, std::vector<UniqueFd> descriptors)>;
  /// |on_end|: the other side has closed its end, or died. Neither callback may destroy this.
  DescriptorChannel(Loop& loop, UniqueFd socket, OnMessage on_message, std::function<void()> on_end);
  DescriptorChannel(const DescriptorChannel&) = delete;
  DescriptorChannel& operator=(const DescriptorChannel&) = delete;

  /// What is longer than `kMaxText` is cut; the descriptors stay the caller's, too.
  Result<void> send(std::string_view text, std::span<const int> descriptors = {});
  /// The same without a loop, on a |socket| of such a pair.
  static Result<void> send(int socket, std::string_view text, std::span<const int> descriptors = {});
  /// Hands on nothing any more.
  void stop() { readable_.stop(); }
  /// Hands on what has arrived already.
  void read_all();
  /// Two sockets that are joined: packets, or a stream. Both non-blocking and close-on-exec.
  static Result<std::pair<UniqueFd, UniqueFd>> make_pair();
  static Result<std::pair<UniqueFd, UniqueFd>> make_stream();

 private:
  bool read_one();

  const UniqueFd socket_;
  const OnMessage on_message_;
  const std::function<void()> on_end_;
  std::vector<char> text_;
  IoWatcher readable_;
};

}  // namespace stickmesh::net
