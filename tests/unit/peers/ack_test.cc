#include "agent/peers/wire/ack.h"

#include <gtest/gtest.h>

#include "agent/peers/wire/message.h"
#include "tests/unit/peers/hex.h"
#include "tests/unit/peers/vectors.h"

namespace stickmesh::peers {
namespace {

TEST(AckTest, IsHAProxysVector) {
  std::vector<std::byte> message;
  Writer writer(message);
  encode_ack({1, 2}, writer);
  EXPECT_EQ(to_hex(message), plain(vectors::kAck));
}

TEST(AckTest, ReadsBackEveryTableNumberAndId) {
  for (const TableId table : {0U, 1U, 239U, 240U, 2288U, 0xffffffffU}) {
    for (const std::uint32_t id : {0U, 1U, 0x80000000U, 0xffffffffU}) {
      std::vector<std::byte> message;
      Writer writer(message);
      encode_ack({table, id}, writer);
      const Frame frame = parse_frame(message, 100);
      ASSERT_EQ(frame.status, FrameStatus::kMessage);
      ASSERT_EQ(frame.size, message.size());
      EXPECT_EQ(decode_ack(frame.message.body), (Ack{table, id}));
      for (std::size_t size = 0; size < frame.message.body.size(); ++size) {
        EXPECT_FALSE(decode_ack(frame.message.body.first(size)));
      }
    }
  }
}

TEST(AckTest, ATableNumberHas32Bits) {
  const auto ack = decode_ack(from_hex("f0f1fefe7e 00000001"));
  ASSERT_FALSE(ack);
  EXPECT_EQ(ack.error().reason, Reason::kValueOutOfRange);
}

TEST(AckTest, WhatFollowsIsIgnored) {
  EXPECT_EQ(decode_ack(from_hex("01 00000002 ff")), (Ack{1, 2}));
}

}  // namespace
}  // namespace stickmesh::peers
