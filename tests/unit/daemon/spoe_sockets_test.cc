#include "agent/daemon/spoe_sockets.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "agent/daemon/state_file.h"
#include "agent/net/descriptor_channel.h"

namespace stickmesh::daemon {
namespace {

net::UniqueFd copy_of(int descriptor) {
  return net::UniqueFd(::dup(descriptor));
}

/// As they arrive at the other process.
std::vector<net::UniqueFd> received(const SpoeParcel& parcel) {
  std::vector<net::UniqueFd> descriptors;
  descriptors.push_back(copy_of(parcel.file.get()));
  for (const int socket : parcel.sockets) descriptors.push_back(copy_of(socket));
  return descriptors;
}

class SpoeSocketsTest : public ::testing::Test {
 protected:
  SpoeSocketsTest() : pair_(*net::DescriptorChannel::make_stream()) {}

  SpoeSocket in_the_middle_of_everything() {
    SpoeSocket socket{pair_.first.get(), {}, {}};
    spoe::SavedSession& session = socket.session;
    session.state = spoe::State::kRunning;
    session.frame_size = 16380;
    session.engine_id = "an engine";
    session.input = {std::byte{0}, std::byte{1}, std::byte{255}};
    session.input_since = TimePoint(Duration(1'234'567));
    session.output.assign(70'000, std::byte{7});
    session.fragments = {spoe::Fragments::Stage::kOpen, ~std::uint64_t{0}, 3, TimePoint(Duration(99)),
                         std::vector<std::byte>(300, std::byte{9})};
    std::uint64_t number = 0;
    spoe::Counters& counters = session.counters;
    for (auto* counter : {&counters.bytes_in, &counters.bytes_out, &counters.frames_in, &counters.events,
                          &counters.answered, &counters.overloaded, &counters.malformed, &counters.failed,
                          &counters.fragments_in, &counters.fragmented_too_long, &counters.withdrawn,
                          &counters.skipped, &counters.actions_left_out}) {
      *counter = ++number << 30U;
    }
    return socket;
  }

  std::pair<net::UniqueFd, net::UniqueFd> pair_;
};

TEST_F(SpoeSocketsTest, ArriveAsTheyWere) {
  SpoeSocket fresh{pair_.second.get(), {}, {}};
  const std::vector<SpoeSocket> sockets = {in_the_middle_of_everything(), fresh};
  const auto parcels = pack(sockets);
  ASSERT_TRUE(parcels);
  ASSERT_EQ(parcels->size(), 1U);
  const auto unpacked = unpack(received(parcels->front()));
  ASSERT_TRUE(unpacked) << to_string(unpacked.error());
  ASSERT_EQ(unpacked->size(), 2U);
  EXPECT_EQ((*unpacked)[0].session, sockets[0].session);
  EXPECT_EQ((*unpacked)[1].session, fresh.session);
  ASSERT_EQ(::write(pair_.second.get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read((*unpacked)[0].socket.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'x');
}

TEST_F(SpoeSocketsTest, ManyTakeSeveralMessages) {
  const std::vector<SpoeSocket> sockets(1000, SpoeSocket{pair_.first.get(), {}, {}});
  const auto parcels = pack(sockets);
  ASSERT_TRUE(parcels);
  std::size_t count = 0;
  for (const SpoeParcel& parcel : *parcels) {
    EXPECT_LE(parcel.sockets.size() + 1, net::DescriptorChannel::kMaxDescriptors);
    count += parcel.sockets.size();
  }
  EXPECT_EQ(count, 1000U);
  EXPECT_EQ(pack({})->size(), 0U);
}

TEST_F(SpoeSocketsTest, WhatDoesNotBelongTogetherIsRefused) {
  const std::vector<SpoeSocket> sockets = {in_the_middle_of_everything()};
  const auto parcels = pack(sockets);
  ASSERT_TRUE(parcels);
  EXPECT_FALSE(unpack({}));
  std::vector<net::UniqueFd> one_more = received(parcels->front());
  one_more.push_back(copy_of(pair_.second.get()));
  EXPECT_FALSE(unpack(std::move(one_more)));
  std::vector<net::UniqueFd> none;
  none.push_back(copy_of(parcels->front().file.get()));
  EXPECT_FALSE(unpack(std::move(none)));

  const auto bytes = content_of(parcels->front().file.get());
  ASSERT_TRUE(bytes);
  for (std::size_t size = 0; size < bytes->size(); size += size < 64 ? 1 : 997) {
    std::vector<net::UniqueFd> cut;
    cut.push_back(std::move(*file_of(Bytes(*bytes).first(size))));
    cut.push_back(copy_of(pair_.first.get()));
    EXPECT_FALSE(unpack(std::move(cut))) << size;
  }
}

}  // namespace
}  // namespace stickmesh::daemon
