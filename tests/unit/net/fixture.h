#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>

#include "agent/net/loop.h"
#include "agent/net/socket_address.h"
#include "agent/net/timer.h"
#include "agent/net/unique_fd.h"

namespace stickmesh::net {

inline SocketAddress address_of(std::string_view text) {
  return SocketAddress::parse(text).value();
}

class LoopTest : public ::testing::Test {
 protected:
  /// Runs the loop until |condition| holds; false when it does not in time.
  template <typename Condition>
  bool run_until(Condition condition, Duration limit = std::chrono::seconds(20)) {
    loop.refresh();
    bool late = false;
    Timer timer(loop, [&] { late = true; });
    timer.set(loop.now() + limit);
    while (!condition() && !late) loop.run_once();
    return condition();
  }

  Loop loop;
};

inline std::pair<UniqueFd, UniqueFd> socket_pair() {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "stickmesh-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }

  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace stickmesh::net
