#include "tests/unit/spoe/session_fixture.h"

namespace stickmesh::spoe {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class HelloSessionTest : public SpoeSessionTest {
 protected:
  static ByteVector with_size(std::uint64_t size) { return haproxy_hello(size); }
};

TEST_F(HelloSessionTest, TakesHAProxysFrameSizeUpToTheCap) {
  const std::pair<std::uint64_t, const char*> sizes[] = {
      {256, "HELLO 256 pipelining fragmentation"},
      {16380, "HELLO 16380 pipelining fragmentation"},
      {131068, "HELLO 131068 pipelining fragmentation"},
      {1ULL << 31U, "HELLO 1048576 pipelining fragmentation"},
      {0x7fffffffffffffff, "HELLO 1048576 pipelining fragmentation"},
  };
  for (const auto& [size, answer] : sizes) {
    start();
    EXPECT_THAT(reply(with_size(size)), ElementsAre(answer));
    EXPECT_EQ(session->state(), State::kRunning);
    EXPECT_EQ(session->frame_size(), std::min<std::uint64_t>(size, 1048576));
    EXPECT_EQ(session->engine_id(), "ff1e3a20-engine");
  }
}

TEST_F(HelloSessionTest, TellsTheHandlerOnce) {
  start();
  receive(haproxy_hello());
  EXPECT_THAT(handler.calls, ElementsAre("established 16380 ff1e3a20-engine"));
  // Whole and in one piece: HAProxy 3.2 and later reset the connection otherwise.
  EXPECT_THAT(describe_frames(session->pending()), ElementsAre("HELLO 16380 pipelining fragmentation"));
}

TEST_F(HelloSessionTest, AnnouncesPipeliningOnlyWhereItIsOffered) {
  start();
  HaproxyHello hello;
  hello.max_frame_size = 1000;
  ByteVector bytes;
  Writer writer(bytes);
  encode_haproxy_hello(hello, writer);
  EXPECT_THAT(reply(bytes), ElementsAre("HELLO 1000 fragmentation"));
}

TEST_F(HelloSessionTest, EngineIdsAreMadeFitForALine) {
  start();
  HaproxyHello hello;
  hello.max_frame_size = 1000;
  const std::string id = "a\nb" + std::string(200, 'x');
  hello.engine_id = id;
  ByteVector bytes;
  Writer writer(bytes);
  encode_haproxy_hello(hello, writer);
  receive(bytes);
  EXPECT_EQ(session->engine_id(), "a?b" + std::string(61, 'x') + "...");
}

TEST_F(HelloSessionTest, AHealthCheckGetsASizeThatFitsAnyBuffer) {
  start();
  EXPECT_THAT(reply(health_check()), ElementsAre("HELLO 4096 fragmentation"));
  EXPECT_EQ(session->state(), State::kHealthCheck);
  EXPECT_EQ(session->engine_id(), "");
  EXPECT_THAT(handler.calls, IsEmpty());
  const auto over = run_for(Duration(1000));
  ASSERT_TRUE(over);
  EXPECT_EQ(over->reason, Reason::kConnectionLost);
  EXPECT_TRUE(session->pending().empty());

  Options options;
  options.max_frame_size = 1000;
  start(options);
  EXPECT_THAT(reply(health_check()), ElementsAre("HELLO 1000 fragmentation"));
}

TEST_F(HelloSessionTest, AResetAfterAHealthCheckIsANormalEnd) {
  start();
  reply(health_check());
  session->closed({Reason::kConnectionLost, "Connection reset by peer"}, now);
  EXPECT_EQ(session->close_reason()->reason, Reason::kConnectionLost);
  EXPECT_EQ(session->state(), State::kClosed);
  EXPECT_FALSE(session->deadline());
}

TEST_F(HelloSessionTest, WhileDrainingHealthChecksFailAndEnginesAreServed) {
  handler.drains = true;
  start();
  EXPECT_THAT(reply(health_check()), ElementsAre("DISCONNECT 13"));
  start();
  EXPECT_THAT(reply(haproxy_hello() + notify()),
              ElementsAre("HELLO 16380 pipelining fragmentation", "ACK 1.1 2.ok=true"));
}

TEST_F(HelloSessionTest, NothingMayFollowAHealthCheckButGoodbye) {
  start();
  reply(health_check());
  EXPECT_THAT(reply(notify()), ElementsAre("DISCONNECT 4"));
  start();
  reply(health_check());
  EXPECT_THAT(reply(haproxy_disconnect(Status::kNormal)), ElementsAre("DISCONNECT 0"));
}

TEST_F(HelloSessionTest, AnythingElseFirstIsRefused) {
  for (const unsigned type : {0U, 2U, 3U, 4U, 100U, 101U, 103U, 255U}) {
    start();
    EXPECT_THAT(reply(frame({static_cast<FrameType>(type), kFin, 1, 1})), ElementsAre("DISCONNECT 4"));
    EXPECT_EQ(ended(), Reason::kBadHello);
  }
}

TEST_F(HelloSessionTest, WhatIsNotSPOPIsRefusedInWords) {
  const std::pair<const char*, const char*> firsts[] = {
      {"GET / HTTP/1.1\r\n", "begins with \"GET \""},
      {"HAProxyS 2.1\n", "begins with \"HAPr\""},
      {"\x16\x03\x01\x02\x01\x01", "0x16030102"},
  };
  for (const auto& [bytes, words] : firsts) {
    start();
    EXPECT_THAT(reply(as_bytes(bytes)), ElementsAre("DISCONNECT 3"));
    EXPECT_EQ(ended(), Reason::kBadHello);
    EXPECT_THAT(session->ended()->detail, ::testing::HasSubstr(words));
  }
}

TEST_F(HelloSessionTest, ARefusedHelloIsAnsweredWithItsStatus) {
  const auto keys = [](const std::vector<std::pair<std::string_view, Value>>& list) {
    ByteVector bytes;
    Writer writer(bytes);
    for (const auto& [key, value] : list) {
      write_name(key, writer);
      write_value(value, writer);
    }
    return bytes;
  };
  const std::pair<std::string_view, Value> version{"supported-versions", Value::string("2.0")};
  const std::pair<std::string_view, Value> size{"max-frame-size", Value::uint32(16380)};
  const std::pair<std::string_view, Value> capabilities{"capabilities", Value::string("")};
  const FrameHeader header{FrameType::kHaproxyHello, kFin, 0, 0};
  const std::pair<ByteVector, const char*> hellos[] = {
      {frame(header, keys({size, capabilities})), "DISCONNECT 5"},
      {frame(header, keys({version, capabilities})), "DISCONNECT 6"},
      {frame(header, keys({version, size})), "DISCONNECT 7"},
      {frame(header, keys({{"supported-versions", Value::string("1.0")}, size, capabilities})),
       "DISCONNECT 8"},
      {frame(header, keys({version, {"max-frame-size", Value::uint32(255)}, capabilities})), "DISCONNECT 9"},
      {frame(header, keys({version, {"max-frame-size", Value::null()}, capabilities})), "DISCONNECT 4"},
      {frame({FrameType::kHaproxyHello, 0, 0, 0}, keys({version, size, capabilities})), "DISCONNECT 10"},
      {frame({FrameType::kHaproxyHello, kFin, 1, 0}, keys({version, size, capabilities})), "DISCONNECT 4"},
      {frame(header, from_hex("05 61")), "DISCONNECT 4"},
  };
  for (const auto& [bytes, answer] : hellos) {
    start();
    EXPECT_THAT(reply(bytes), ElementsAre(answer));
    EXPECT_EQ(session->state(), State::kClosing);
    EXPECT_THAT(handler.calls, IsEmpty());
  }
}

TEST_F(HelloSessionTest, ALongHelloIsTakenUpToItsCap) {
  const auto padded = [](std::size_t size) {
    ByteVector keys;
    Writer writer(keys);
    write_name("unknown", writer);
    write_value(Value::string(std::string(size, 'x')), writer);
    const ByteVector hello = haproxy_hello();
    const Frame plain = parse_frame(hello, 1000);
    return frame(plain.header, keys + ByteVector(plain.payload.begin(), plain.payload.end()));
  };
  start();
  EXPECT_THAT(reply(padded(16000)), ElementsAre("HELLO 16380 pipelining fragmentation"));
  start();
  EXPECT_THAT(reply(padded(17000)), ElementsAre("DISCONNECT 3"));
}

TEST_F(HelloSessionTest, ASecondHelloIsRefused) {
  establish();
  EXPECT_THAT(reply(haproxy_hello()), ElementsAre("DISCONNECT 4"));
}

TEST_F(HelloSessionTest, WithoutReassemblyFragmentationIsNotAnnounced) {
  Options options;
  options.max_fragmented = 0;
  start(options);
  EXPECT_THAT(reply(haproxy_hello()), ElementsAre("HELLO 16380 pipelining"));
  EXPECT_THAT(reply(frame({FrameType::kNotify, 0, 1, 1}, payload())), ElementsAre("DISCONNECT 10"));
}

}  // namespace
}  // namespace stickmesh::spoe
