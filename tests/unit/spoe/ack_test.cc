#include "spoe/wire/ack.h"

#include <gtest/gtest.h>

#include "tests/unit/spoe/conversation.h"

namespace stickmesh::spoe {
namespace {

TEST(AckTest, IsTheSamples) {
  Buffer out;
  AckWriter(out, 1, 1, 256).finish();
  EXPECT_EQ(to_hex(out.pending()), plain("00000007 67 00000001 01 01"));
  out.consume(out.size());

  AckWriter set(out, 1, 1, 256);
  EXPECT_TRUE(set.set(Scope::kTransaction, "ok", Value::boolean(true)));
  set.finish();
  EXPECT_EQ(to_hex(out.pending()), plain("0000000e 67 00000001 01 01 01 03 02 02 6f6b 11"));
  out.consume(out.size());

  AckWriter unset(out, 1, 1, 256);
  EXPECT_TRUE(unset.unset(Scope::kTransaction, "ok"));
  unset.finish();
  EXPECT_EQ(to_hex(out.pending()), plain("0000000d 67 00000001 01 01 02 02 02 02 6f6b"));
}

TEST(AckTest, IsCutBeforeTheFirstActionThatDoesNotFit) {
  Buffer out;
  AckWriter ack(out, 1, 1, 256);
  const std::string value(100, 'v');
  EXPECT_TRUE(ack.set(Scope::kSession, "a", Value::string(value)));
  EXPECT_TRUE(ack.set(Scope::kSession, "b", Value::string(value)));
  EXPECT_FALSE(ack.set(Scope::kSession, "c", Value::string(value)));
  // Later ones would fit, but a client would not expect holes.
  EXPECT_FALSE(ack.set(Scope::kSession, "d", Value::null()));
  EXPECT_FALSE(ack.unset(Scope::kSession, "e"));
  ack.finish();
  EXPECT_EQ(ack.actions(), 2U);
  EXPECT_EQ(ack.left_out(), 3U);
  EXPECT_EQ(describe_frames(out.pending()),
            std::vector<std::string>{"ACK 1.1 1.a=\"" + value + "\" 1.b=\"" + value + "\""});
}

TEST(AckTest, UsesTheLimitToTheLastByte) {
  for (std::size_t size = 230; size < 260; ++size) {
    Buffer out;
    AckWriter ack(out, 1, 1, 256);
    const bool fits = ack.set(Scope::kRequest, "v", Value::string(std::string(size, 'x')));
    ack.finish();
    EXPECT_EQ(fits, size <= 256 - 7 - 3 - 2 - 1 - (size < 240 ? 1 : 2)) << size;
    EXPECT_LE(out.size(), 260U);
  }
}

TEST(AckTest, AHugeValueTakesNoMemory) {
  Buffer out;
  AckWriter ack(out, 1, 1, 256);
  // The view is not looked at: only its size counts.
  EXPECT_FALSE(ack.set(Scope::kRequest, "v", Value::binary({from_hex("00").data(), std::size_t{1} << 40U})));
  ack.finish();
  EXPECT_EQ(out.size(), 11U);
}

TEST(AckTest, NamesThatHAProxyWouldRefuseAreLeftOut) {
  Buffer out;
  AckWriter ack(out, 1, 1, 1000);
  EXPECT_TRUE(ack.set(Scope::kRequest, std::string(49, 'x'), Value::null()));
  EXPECT_FALSE(ack.set(Scope::kRequest, std::string(50, 'x'), Value::null()));
  for (const char* name : {"", "a b", "a-b", "\xc3\xa4", "a\n"}) {
    EXPECT_FALSE(ack.set(Scope::kRequest, name, Value::null())) << name;
  }
  EXPECT_TRUE(ack.set(Scope::kRequest, "api.http_req_rate.Z9", Value::null()));
  EXPECT_EQ(ack.left_out(), 6U);
}

TEST(AckTest, StandsBehindWhatIsPendingAndCanBeTakenBack) {
  Buffer out;
  out.append(as_bytes("before"));
  out.consume(3);
  AckWriter ack(out, ~0ULL, 240, 256);
  ack.set(Scope::kProcess, "x", Value::int64(-5));
  ack.clear();
  ack.set(Scope::kResponse, "y", Value::int64(-5));
  ack.finish();
  EXPECT_EQ(as_text(out.pending().first(3)), "ore");
  EXPECT_EQ(describe_frames(out.pending().subspan(3)),
            std::vector<std::string>{"ACK 18446744073709551615.240 4.y=-5"});
}

TEST(AckTest, AReaderStopsWhereHAProxyDoes) {
  for (const char* hex : {"03 03 02 02 6f6b 11", "01 02 02 02 6f6b 11", "01 03 05 02 6f6b 11",
                          "02 03 02 02 6f6b", "01 03 02 02 6f", "01"}) {
    const ByteVector bytes = from_hex(hex);
    ActionReader reader(bytes);
    EXPECT_FALSE(reader.next()) << hex;
    EXPECT_FALSE(reader.ok()) << hex;
  }
}

}  // namespace
}  // namespace stickmesh::spoe
