#include "agent/net/descriptor_channel.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include <array>

#include "tests/unit/net/fixture.h"

namespace stickmesh::net {
namespace {

class DescriptorChannelTest : public LoopTest {
 protected:
  DescriptorChannelTest() {
    auto pair = DescriptorChannel::make_pair();
    far = std::move(pair->second);
    channel.emplace(
        loop, std::move(pair->first),
        [this](std::string_view text, std::vector<UniqueFd> descriptors) {
          texts.emplace_back(text);
          for (UniqueFd& descriptor : descriptors) received.push_back(std::move(descriptor));
        },
        [this] { ended = true; });
  }

  UniqueFd far;
  std::vector<std::string> texts;
  std::vector<UniqueFd> received;
  bool ended = false;
  std::optional<DescriptorChannel> channel;
};

TEST_F(DescriptorChannelTest, MessagesArriveWholeAndInOrder) {
  const std::string longest(DescriptorChannel::kMaxText, 'x');
  for (const std::string& text : {std::string("one"), longest, std::string("three")})
    ASSERT_TRUE(DescriptorChannel::send(far.get(), text).has_value());
  ASSERT_TRUE(run_until([&] { return texts.size() == 3; }));
  EXPECT_THAT(texts, ::testing::ElementsAre("one", longest, "three"));
}

TEST_F(DescriptorChannelTest, DescriptorsOpenTheSameFileAndStayWithTheSender) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  const std::array<int, 2> sent{writer.get(), reader.get()};
  ASSERT_TRUE(DescriptorChannel::send(far.get(), "state", sent).has_value());
  ASSERT_TRUE(run_until([&] { return received.size() == 2; }));
  EXPECT_EQ(::fcntl(received[0].get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  ASSERT_EQ(::write(received[0].get(), "a", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(reader.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'a');
}

TEST_F(DescriptorChannelTest, MoreDescriptorsThanTheKernelTakesAreRefused) {
  const std::vector<int> many(DescriptorChannel::kMaxDescriptors + 1, far.get());
  const Result<void> sent = channel->send("state", many);
  ASSERT_FALSE(sent.has_value());
  EXPECT_EQ(sent.error().reason, Reason::kSystem);
  const std::vector<int> most(DescriptorChannel::kMaxDescriptors, far.get());
  EXPECT_TRUE(channel->send("state", most).has_value());
}

TEST_F(DescriptorChannelTest, TheLastWordIsHeardBeforeTheEnd) {
  ASSERT_TRUE(channel->send("which is not read any more").has_value());
  ASSERT_TRUE(DescriptorChannel::send(far.get(), "failed").has_value());
  far.reset();
  channel->read_all();
  EXPECT_THAT(texts, ::testing::ElementsAre("failed"));
  EXPECT_TRUE(ended);
  EXPECT_FALSE(channel->send("go").has_value());
}

}  // namespace
}  // namespace stickmesh::net
