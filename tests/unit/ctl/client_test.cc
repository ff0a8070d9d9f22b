#include "agent/ctl/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

namespace stickmesh::ctl {
namespace {

using ::testing::HasSubstr;

class ClientTest : public ::testing::Test {
 protected:
  ClientTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "stickmesh-XXXXXX").string();
    directory = ::mkdtemp(pattern.data());
    path = (directory / "admin.sock").string();
  }
  ~ClientTest() override {
    if (listening >= 0) ::close(listening);
    std::filesystem::remove_all(directory);
  }

  void listen() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, path.size());
    listening = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::bind(listening, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listening, 1), 0);
  }
  Result<void> ask_for(std::string_view line) {
    return ask(path, line, [this](std::string_view piece) { answer += piece; });
  }

  std::filesystem::path directory;
  std::string path;
  std::string answer;
  int listening = -1;
};

TEST_F(ClientTest, SendsOneLineAndTakesTheAnswerToItsEnd) {
  listen();
  std::string line;
  std::thread agent([&] {
    const int fd = ::accept(listening, nullptr, nullptr);
    for (char byte = 0; byte != '\n' && ::read(fd, &byte, 1) == 1;) line += byte;
    const std::string text(300000, 'x');
    EXPECT_EQ(::write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    ::close(fd);
  });
  EXPECT_TRUE(ask_for("show info").has_value());
  agent.join();
  EXPECT_EQ(line, "show info\n");
  EXPECT_EQ(answer.size(), 300000U);
}

TEST_F(ClientTest, AMissingSocketIsNamed) {
  const Result<void> asked = ask_for("help");
  ASSERT_FALSE(asked.has_value());
  EXPECT_THAT(asked.error().detail, HasSubstr(path));
  EXPECT_THAT(asked.error().detail, HasSubstr("is stickmeshd running?"));
}

TEST_F(ClientTest, AnAbandonedSocketIsNamed) {
  listen();
  ::close(listening);
  listening = -1;
  const Result<void> asked = ask_for("help");
  ASSERT_FALSE(asked.has_value());
  EXPECT_THAT(asked.error().detail, HasSubstr("stickmeshd is not running"));
}

TEST_F(ClientTest, MissingPermissionSaysWhatToDo) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may use any socket";
  listen();
  std::filesystem::permissions(path, std::filesystem::perms::none);
  const Result<void> asked = ask_for("help");
  ASSERT_FALSE(asked.has_value());
  EXPECT_THAT(asked.error().detail, HasSubstr("run as root or be in group stickmesh"));
}

TEST_F(ClientTest, AnImpossiblePathIsRefused) {
  path = std::string(200, 'x');
  EXPECT_FALSE(ask_for("help").has_value());
}

}  // namespace
}  // namespace stickmesh::ctl
