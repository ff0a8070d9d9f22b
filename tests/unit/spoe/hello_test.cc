#include "spoe/wire/hello.h"

#include <gtest/gtest.h>

#include "tests/unit/spoe/conversation.h"

namespace stickmesh::spoe {
namespace {

const char* const kHealthCheck =
    "0000004e 01 00000001 00 00 12 737570706f727465642d76657273696f6e73 08 03 322e30"
    "0e 6d61782d6672616d652d73697a65 03 fcf006 0c 6361706162696c6974696573 08 00"
    "0b 6865616c7468636865636b 11";

struct Keys {
  ByteVector bytes;
  Writer writer{bytes};

  Keys& key(std::string_view name, const Value& value) {
    write_name(name, writer);
    write_value(value, writer);
    return *this;
  }
  tl::expected<HaproxyHello, Refusal> decode() const {
    return decode_haproxy_hello({FrameType::kHaproxyHello, kFin, 0, 0}, bytes);
  }
  /// The status of the refusal, or -1.
  int status() const {
    const auto hello = decode();
    return hello ? -1 : static_cast<int>(hello.error().status);
  }
};

Keys without(std::string_view left_out) {
  Keys keys;
  if (left_out != "supported-versions") keys.key("supported-versions", Value::string("2.0"));
  if (left_out != "max-frame-size") keys.key("max-frame-size", Value::uint32(16380));
  if (left_out != "capabilities") keys.key("capabilities", Value::string("pipelining,async"));
  return keys;
}

TEST(HelloTest, HealthCheckIsHAProxysSample) {
  EXPECT_EQ(to_hex(health_check()), plain(kHealthCheck));
  const ByteVector bytes = from_hex(kHealthCheck);
  const Frame read = parse_frame(bytes, 256);
  const auto hello = decode_haproxy_hello(read.header, read.payload);
  ASSERT_TRUE(hello);
  EXPECT_TRUE(hello->health_check);
  EXPECT_EQ(hello->max_frame_size, 16380U);
  EXPECT_FALSE(hello->pipelining);
  EXPECT_EQ(hello->engine_id, "");
}

TEST(HelloTest, AgentHelloIsTheSample) {
  ByteVector bytes;
  Writer writer(bytes);
  encode_agent_hello({16380, true, false}, writer);
  EXPECT_EQ(to_hex(bytes),
            plain("00000040 65 00000001 00 00 07 76657273696f6e 08 03 322e30 0e 6d61782d6672616d652d73697a65"
                  "03 fcf006 0c 6361706162696c6974696573 08 0a 706970656c696e696e67"));
  EXPECT_EQ(decode_agent_hello(parse_frame(bytes, 256).payload), (AgentHello{16380, true, false}));
}

TEST(HelloTest, KeysAreFreeInOrderAndUnknownOnesAreSkipped) {
  Keys keys;
  keys.key("engine-id", Value::string("e1"))
      .key("capabilities", Value::string(" pipeliningx , pipelining"))
      .key("", Value::null())
      .key("version-foo", Value::boolean(true))
      .key("max-frame-size", {DataType::kInt64, 256, {}})
      .key("supported-versions", Value::string("1.0, 2.0 ,3.0"));
  const auto hello = keys.decode();
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->engine_id, "e1");
  EXPECT_TRUE(hello->pipelining);
  EXPECT_FALSE(hello->async);
  EXPECT_EQ(hello->max_frame_size, 256U);
}

TEST(HelloTest, EachMandatoryKeyHasItsStatus) {
  EXPECT_EQ(without("").status(), -1);
  EXPECT_EQ(without("supported-versions").status(), 5);
  EXPECT_EQ(without("max-frame-size").status(), 6);
  EXPECT_EQ(without("capabilities").status(), 7);
}

TEST(HelloTest, SomeVersion2MustBeOffered) {
  for (const char* list : {"2.0", " 2.0 ", "2.0, 3.0", "1.0,2.1", "3.0,,2.0,"}) {
    EXPECT_EQ(without("supported-versions").key("supported-versions", Value::string(list)).status(), -1)
        << list;
  }
  for (const char* list : {"", "1.0", "3.0", "2", "2.", "2.x", "12.0", ",", " "}) {
    EXPECT_EQ(without("supported-versions").key("supported-versions", Value::string(list)).status(), 8)
        << list;
  }
}

TEST(HelloTest, AFrameSizeMayNotBeTooSmall) {
  const auto status = [](const Value& value) {
    return without("max-frame-size").key("max-frame-size", value).status();
  };
  EXPECT_EQ(status(Value::uint32(255)), 9);
  EXPECT_EQ(status(Value::uint32(256)), -1);
  EXPECT_EQ(status(Value::uint32(0)), 9);
  EXPECT_EQ(status(Value::int64(-1)), 9);
  EXPECT_EQ(status({DataType::kUint64, 1ULL << 63U, {}}), 9);
  EXPECT_EQ(status({DataType::kUint32, 1ULL << 31U, {}}), -1);
  EXPECT_EQ(status(Value::string("16380")), 4);
  EXPECT_EQ(without("").key("max-frame-size", Value::uint32(1000)).decode()->max_frame_size, 1000U);
}

TEST(HelloTest, WrongTypesAndHeadersAreRefused) {
  EXPECT_EQ(without("capabilities").key("capabilities", Value::boolean(true)).status(), 4);
  EXPECT_EQ(without("").key("engine-id", Value::uint32(1)).status(), 4);
  EXPECT_EQ(without("").key("healthcheck", Value::uint32(1)).status(), 4);
  EXPECT_FALSE(without("").key("healthcheck", Value::boolean(false)).decode()->health_check);

  const ByteVector keys = without("").bytes;
  const auto status = [&keys](const FrameHeader& header) {
    return static_cast<int>(decode_haproxy_hello(header, keys).error().status);
  };
  EXPECT_EQ(status({FrameType::kHaproxyHello, 0, 0, 0}), 10);
  EXPECT_EQ(status({FrameType::kHaproxyHello, kFin, 1, 0}), 4);
  EXPECT_EQ(status({FrameType::kHaproxyHello, kFin, 0, 1}), 4);
}

TEST(HelloTest, ATruncatedOneIsRefused) {
  const ByteVector keys = without("").key("engine-id", Value::string("e")).bytes;
  for (std::size_t size = 0; size < keys.size(); ++size) {
    Keys cut;
    cut.bytes.assign(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(size));
    const bool whole = size == without("").bytes.size();
    EXPECT_EQ(cut.status() == -1, whole) << size;
  }
  Keys huge = without("");
  huge.writer.bytes(from_hex("fff0fefefefefefefe0e 61"));
  EXPECT_EQ(huge.status(), 4);
}

}  // namespace
}  // namespace stickmesh::spoe
