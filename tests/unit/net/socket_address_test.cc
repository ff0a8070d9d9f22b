#include "agent/net/socket_address.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stickmesh::net {
namespace {

SocketAddress parsed(std::string_view text) {
  const Result<SocketAddress> address = SocketAddress::parse(text);
  EXPECT_TRUE(address.has_value()) << text << ": " << (address ? "" : address.error().detail);
  return address.value_or(SocketAddress());
}

TEST(SocketAddressTest, ReadsBackWhatItPrints) {
  for (const std::string_view text : {"192.0.2.1:10000", "[2001:db8::1]:10000", "abns@stickmesh",
                                      "/run/x.sock", "0.0.0.0:0", "[::]:65535"}) {
    EXPECT_EQ(parsed(text).to_string(), text);
    EXPECT_EQ(parsed(text), parsed(parsed(text).to_string()));
  }
}

TEST(SocketAddressTest, TellsTheFamilyPortAndBytes) {
  const SocketAddress four = parsed("192.0.2.1:258");
  EXPECT_EQ(four.family(), Family::kIpv4);
  EXPECT_EQ(four.port(), 258);
  ASSERT_EQ(four.ip().size(), 4U);
  EXPECT_EQ(four.ip()[0], std::byte{192});
  EXPECT_EQ(four.ip()[3], std::byte{1});
  const SocketAddress six = parsed("[2001:db8::1]:1");
  EXPECT_EQ(six.family(), Family::kIpv6);
  ASSERT_EQ(six.ip().size(), 16U);
  EXPECT_EQ(six.ip()[0], std::byte{0x20});
  EXPECT_EQ(parsed("*:7").to_string(), "0.0.0.0:7");
  EXPECT_EQ(parsed("/run/x.sock").family(), Family::kUnix);
  EXPECT_TRUE(parsed("/run/x.sock").ip().empty());
}

TEST(SocketAddressTest, PadsAbstractNamesAsHaproxyDoes) {
  const SocketAddress name = parsed("abns@x");
  EXPECT_EQ(name.family(), Family::kAbstract);
  EXPECT_EQ(name.size(), sizeof(sockaddr_un));
  EXPECT_EQ(name.path(), "x");
}

TEST(SocketAddressTest, AMappedIpv4AddressIsAnIpv4Address) {
  EXPECT_EQ(parsed("[::ffff:192.0.2.1]:80"), parsed("192.0.2.1:80"));
}

TEST(SocketAddressTest, RefusesWhatIsNoAddressAndSaysWhatIs) {
  for (const std::string_view text : {"", "10300", "lb1:10000", "192.0.2.1", "192.0.2.1:", "192.0.2.1:65536",
                                      "192.0.2.1:-1", "192.0.2.1:1x", "192.0.2:80", "2001:db8::1:80",
                                      "[2001:db8::1]", "[192.0.2.1]:80", "[]:80", ":80", "abns@"}) {
    const Result<SocketAddress> address = SocketAddress::parse(text);
    ASSERT_FALSE(address.has_value()) << text;
    EXPECT_THAT(address.error().detail, ::testing::HasSubstr("write 192.0.2.1:10000"));
  }
  EXPECT_FALSE(SocketAddress::parse("/" + std::string(107, 'x')).has_value());
  EXPECT_TRUE(SocketAddress::parse("/" + std::string(106, 'x')).has_value());
  EXPECT_FALSE(SocketAddress::parse("abns@" + std::string(108, 'x')).has_value());
  EXPECT_FALSE(SocketAddress::parse(std::string_view("/a\0b", 4)).has_value());
}

TEST(SocketAddressTest, ResolvesNamesOnlyWhenAsked) {
  const Result<SocketAddress> local = SocketAddress::resolve("localhost:10300");
  ASSERT_TRUE(local.has_value()) << local.error().detail;
  EXPECT_TRUE(local->is_ip());
  EXPECT_EQ(local->port(), 10300);
  EXPECT_EQ(SocketAddress::resolve("192.0.2.1:5")->to_string(), "192.0.2.1:5");
  EXPECT_EQ(SocketAddress::resolve("name.invalid:80").error().reason, Reason::kNotFound);
}

TEST(SocketAddressTest, AnUnnamedPeerHasAFamilyAndNoPath) {
  sockaddr_un raw{};
  raw.sun_family = AF_UNIX;
  const SocketAddress peer(reinterpret_cast<const sockaddr*>(&raw), sizeof(sa_family_t));
  EXPECT_EQ(peer.family(), Family::kUnix);
  EXPECT_EQ(peer.to_string(), "unix");
  EXPECT_EQ(SocketAddress().to_string(), "none");
}

TEST(SocketAddressTest, ANameThatAClientChoseStaysOnOneLine) {
  EXPECT_EQ(parsed("/tmp/a\nb\x1b[31m\x7f").to_string(), "/tmp/a?b?[31m?");
  EXPECT_EQ(parsed("abns@a\tb").to_string(), "abns@a?b");
}

}  // namespace
}  // namespace stickmesh::net
