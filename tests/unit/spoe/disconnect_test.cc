#include "spoe/wire/disconnect.h"

#include <gtest/gtest.h>

#include "tests/unit/spoe/conversation.h"

namespace stickmesh::spoe {
namespace {

TEST(DisconnectTest, IsTheSample) {
  ByteVector bytes;
  Writer writer(bytes);
  encode_agent_disconnect(Status::kNormal, "normal", writer);
  EXPECT_EQ(to_hex(bytes),
            plain("00000025 66 00000001 00 00 0b 7374617475732d636f6465 03 00 07 6d657373616765"
                  "08 06 6e6f726d616c"));
}

TEST(DisconnectTest, FitsTheLeastFrameWhateverItSays) {
  ByteVector bytes;
  Writer writer(bytes);
  encode_agent_disconnect(static_cast<Status>(0xffffffff), std::string(5000, 'x'), writer);
  EXPECT_EQ(parse_frame(bytes, kMinFrameSize).status, FrameStatus::kFrame);
}

TEST(DisconnectTest, ReadsBackEveryStatus) {
  for (const std::uint32_t status : {0U, 1U, 2U, 13U, 99U, 200U, 0xffffffffU}) {
    const ByteVector bytes = haproxy_disconnect(static_cast<Status>(status), "why");
    const Bytes payload = parse_frame(bytes, 256).payload;
    const auto read = decode_disconnect(payload);
    ASSERT_TRUE(read);
    EXPECT_EQ(static_cast<std::uint32_t>(read->status), status);
    EXPECT_EQ(read->message, "why");
    EXPECT_FALSE(status_name(read->status).empty());
    std::size_t whole = 0;
    for (std::size_t size = 0; size < payload.size(); ++size) {
      if (decode_disconnect(payload.first(size))) ++whole;
    }
    EXPECT_EQ(whole, 1U);  // without the message
  }
}

TEST(DisconnectTest, WrongTypesAreRefused) {
  EXPECT_FALSE(decode_disconnect(from_hex("0b 7374617475732d636f6465 08 01 30")));
  EXPECT_FALSE(decode_disconnect(from_hex("0b 7374617475732d636f6465 03 f0f1fefe7e")));
  EXPECT_FALSE(decode_disconnect(from_hex("0b 7374617475732d636f6465 03 00 07 6d657373616765 11")));
  EXPECT_FALSE(decode_disconnect({}));
}

}  // namespace
}  // namespace stickmesh::spoe
