#include "agent/config/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace stickmesh::config {
namespace {

using testing::HasSubstr;

TEST(AddressTest, ReadsEveryFormAndWritesItBack) {
  struct Row {
    std::string_view text;
    Address address;
    bool literal;
  };
  const Row rows[] = {
      {"127.0.0.1:10300", {Address::Kind::kTcp, "127.0.0.1", 10300}, true},
      {"0.0.0.0:1", {Address::Kind::kTcp, "0.0.0.0", 1}, true},
      {"[::]:65535", {Address::Kind::kTcp, "::", 65535}, true},
      {"[2001:db8::1]:80", {Address::Kind::kTcp, "2001:db8::1", 80}, true},
      {"lb1:10000", {Address::Kind::kTcp, "lb1", 10000}, false},
      {"lb_1.example-2.com.:10000", {Address::Kind::kTcp, "lb_1.example-2.com.", 10000}, false},
      {"abns@mesh", {Address::Kind::kAbstract, "mesh", 0}, true},
      {"/run/stickmesh/peers.sock", {Address::Kind::kUnix, "/run/stickmesh/peers.sock", 0}, true},
      {"/run/a:80", {Address::Kind::kUnix, "/run/a:80", 0}, true},
  };
  for (const Row& row : rows) {
    const Parsed<Address> parsed = parse_address(row.text);
    ASSERT_TRUE(parsed) << row.text << ": " << parsed.error();
    EXPECT_EQ(*parsed, row.address) << row.text;
    EXPECT_EQ(to_string(*parsed), row.text);
    EXPECT_EQ(is_literal(*parsed), row.literal) << row.text;
  }
}

TEST(AddressTest, TellsWhatIsWrong) {
  struct Row {
    std::string_view text, why;
  };
  const Row rows[] = {
      {"", "an address is"},
      {"lb1", "the port is missing"},
      {"10300", "the port is missing"},
      {"lb1:", "1 to 65535"},
      {"lb1:0", "1 to 65535"},
      {"lb1:65536", "1 to 65535"},
      {"lb1:99999999999999999999", "1 to 65535"},
      {"lb1:http", "1 to 65535"},
      {"lb1:+80", "1 to 65535"},
      {":10300", "the host is missing"},
      {"*:10300", "the host is missing"},
      {"::1:10300", "in brackets"},
      {"[::1]", "the port is missing"},
      {"[::1:80", "the port is missing"},
      {"[]:80", "not an IPv6 address"},
      {"[lb1]:80", "not an IPv6 address"},
      {"[127.0.0.1]:80", "not an IPv6 address"},
      {"[fe80::1%eth0]:80", "not an IPv6 address"},
      {"10.0.0.300:80", "not an IPv4 address"},
      {"10.0.1:80", "not an IPv4 address"},
      {"lb 1:80", "not a host name"},
      {"lb..1:80", "not a host name"},
      {".lb1:80", "not a host name"},
      {"l\xc3\xa9:80", "not a host name"},
      {"run/a.sock", "the port is missing"},
      {"abns@", "name is missing"},
      {"/run/", "a directory"},
      {"/run/a\nb", "control character"},
  };
  for (const Row& row : rows) {
    const Parsed<Address> parsed = parse_address(row.text);
    ASSERT_FALSE(parsed) << row.text;
    EXPECT_THAT(parsed.error(), HasSubstr(row.why)) << row.text;
  }
}

TEST(AddressTest, BoundsNames) {
  EXPECT_TRUE(parse_address("/" + std::string(106, 'a')));
  EXPECT_THAT(parse_address("/" + std::string(107, 'a')).error(), HasSubstr("at most 107 bytes, not 108"));
  EXPECT_TRUE(parse_address("abns@" + std::string(107, 'a')));
  EXPECT_FALSE(parse_address("abns@" + std::string(108, 'a')));
  EXPECT_TRUE(parse_address(std::string(63, 'a') + ":80"));
  EXPECT_FALSE(parse_address(std::string(64, 'a') + ":80"));
  std::string host;
  for (int label = 0; label < 127; ++label) host += "a.";
  EXPECT_FALSE(parse_address(host + ":80"));
  EXPECT_TRUE(parse_address(host.substr(0, 253) + ":80"));
  EXPECT_FALSE(parse_address(std::string_view("127.0.0.1\0:80", 13)));
}

TEST(CidrTest, ReadsNetworksAndWritesThemBack) {
  EXPECT_EQ(to_string(*Cidr::parse("192.0.2.0/24")), "192.0.2.0/24");
  EXPECT_EQ(to_string(*Cidr::parse("192.0.2.7")), "192.0.2.7/32");
  EXPECT_EQ(to_string(*Cidr::parse("0.0.0.0/0")), "0.0.0.0/0");
  EXPECT_EQ(to_string(*Cidr::parse("2001:db8::/32")), "2001:db8::/32");
  EXPECT_EQ(to_string(*Cidr::parse("::1")), "::1/128");
  EXPECT_EQ(*Cidr::parse("192.0.2.7"), *Cidr::parse("192.0.2.7/32"));
}

TEST(CidrTest, TellsWhatIsWrong) {
  EXPECT_THAT(Cidr::parse("192.0.2.1/24").error(), HasSubstr(R"(write "192.0.2.0/24")"));
  EXPECT_THAT(Cidr::parse("2001:db8::1/32").error(), HasSubstr(R"(write "2001:db8::/32")"));
  EXPECT_THAT(Cidr::parse("192.0.2.0/33").error(), HasSubstr("0 to 32"));
  EXPECT_THAT(Cidr::parse("::/129").error(), HasSubstr("0 to 128"));
  EXPECT_THAT(Cidr::parse("192.0.2.0/").error(), HasSubstr("0 to 32"));
  EXPECT_THAT(Cidr::parse("192.0.2.0/255.255.255.0").error(), HasSubstr("0 to 32"));
  for (const std::string_view text : {"", "/24", "lb1", "192.0.2/24", "[::1]/128", "192.0.2.0 /24"}) {
    EXPECT_THAT(Cidr::parse(text).error(), HasSubstr("a network is written")) << text;
  }
}

TEST(CidrTest, ContainsWhatTheNetworkSpans) {
  const Cidr network = *Cidr::parse("192.0.2.128/25");
  EXPECT_TRUE(network.contains("192.0.2.128"));
  EXPECT_TRUE(network.contains("192.0.2.255"));
  EXPECT_FALSE(network.contains("192.0.2.127"));
  EXPECT_FALSE(network.contains("192.0.3.128"));
  EXPECT_FALSE(network.contains("::1"));
  EXPECT_FALSE(network.contains("lb1"));
  EXPECT_FALSE(network.contains(""));

  EXPECT_TRUE(Cidr::parse("0.0.0.0/0")->contains("255.255.255.255"));
  EXPECT_FALSE(Cidr::parse("0.0.0.0/0")->contains("2001:db8::1"));
  EXPECT_TRUE(Cidr::parse("2001:db8:8000::/33")->contains("2001:db8:ffff::1"));
  EXPECT_FALSE(Cidr::parse("2001:db8:8000::/33")->contains("2001:db8:7fff::1"));
}

TEST(CidrTest, TakesAMappedAddressAsIpv4) {
  EXPECT_TRUE(Cidr::parse("192.0.2.0/24")->contains("::ffff:192.0.2.1"));
  EXPECT_FALSE(Cidr::parse("192.0.2.0/24")->contains("::ffff:192.0.3.1"));
  EXPECT_FALSE(Cidr::parse("192.0.2.0/24")->contains("::192.0.2.1"));
  EXPECT_TRUE(Cidr::parse("::ffff:0:0/96")->contains("::ffff:192.0.3.1"));
}

TEST(CidrTest, ContainsNoAddressOfAnotherLength) {
  const std::array<std::byte, 5> odd{};
  EXPECT_FALSE(Cidr::parse("0.0.0.0/0")->contains(odd));
  EXPECT_FALSE(Cidr::parse("0.0.0.0/0")->contains(std::span<const std::byte>()));
  EXPECT_TRUE(Cidr::parse("0.0.0.0/8")->contains(std::span(odd).first(4)));
}

}  // namespace
}  // namespace stickmesh::config
