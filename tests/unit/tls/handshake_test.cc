#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "tests/unit/tls/authority.h"
#include "tests/unit/tls/ends.h"

namespace stickmesh::tls {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

class HandshakeTest : public testing::Test {
 protected:
  /// The two ends after all that they have to say to each other.
  void meet(const Files& dialling, const Files& accepting, std::size_t piece = 65536) {
    dialler.emplace(dialling, Role::kDialling);
    accepter.emplace(accepting, Role::kAccepting);
    exchange(*dialler, *accepter, piece);
  }
  Files good(const std::string& name) { return authority.issue({{name}}); }
  static Files without_check(Files files) {
    files.verify = false;
    return files;
  }
  /// Both ends say something and hear it.
  void talk() {
    ASSERT_NE(dialler->inner, nullptr);
    ASSERT_NE(accepter->inner, nullptr);
    dialler->inner->say("hello");
    accepter->inner->say("200");
    exchange(*dialler, *accepter);
    EXPECT_EQ(accepter->script.received, "hello");
    EXPECT_EQ(dialler->script.received, "200");
  }

  Authority authority{"the authority"};
  Authority stranger{"a stranger"};
  std::optional<End> dialler;
  std::optional<End> accepter;
};

TEST_F(HandshakeTest, BothEndsLearnTheNamesInTheOthersCertificate) {
  meet(authority.issue({{"lb1", "lb1.example.com"}}), good("agent-1"));
  ASSERT_TRUE(accepter->certified && dialler->certified);
  EXPECT_THAT(*accepter->certified, ElementsAre("lb1", "lb1.example.com"));
  EXPECT_THAT(*dialler->certified, ElementsAre("agent-1"));
  talk();
}

TEST_F(HandshakeTest, TheCommonNameIsNoName) {
  Wanted wanted;
  wanted.subject = "lb1";
  meet(authority.issue(wanted), good("agent-1"));
  ASSERT_TRUE(accepter->certified);
  EXPECT_THAT(*accepter->certified, testing::IsEmpty());
}

TEST_F(HandshakeTest, AnyFragmentationWillDo) {
  for (const std::size_t piece : {1U, 2U, 7U, 100U}) {
    meet(good("lb1"), good("agent-1"), piece);
    talk();
  }
}

TEST_F(HandshakeTest, WithoutVerificationNobodyIsAskedForACertificate) {
  meet(without_check(stranger.issue({{"lb1"}})), without_check(good("agent-1")));
  EXPECT_FALSE(accepter->certified);
  EXPECT_FALSE(dialler->certified);
  talk();
}

TEST_F(HandshakeTest, ACertificateOfAnUnknownAuthorityIsRefused) {
  meet(stranger.issue({{"lb1"}}, &authority), good("agent-1"));
  ASSERT_TRUE(accepter->error);
  EXPECT_EQ(accepter->error->reason, Reason::kUnknownAuthority);
  EXPECT_THAT(accepter->error->detail, HasSubstr("CN=a stranger"));
  EXPECT_EQ(accepter->inner, nullptr);
  ASSERT_TRUE(dialler->error);
  EXPECT_EQ(dialler->error->reason, Reason::kCertificateRefused) << dialler->error->detail;
}

TEST_F(HandshakeTest, ADiallerRefusesAnUnknownAuthority) {
  meet(good("lb1"), stranger.issue({{"agent-1"}}, &authority));
  ASSERT_TRUE(dialler->error);
  EXPECT_EQ(dialler->error->reason, Reason::kUnknownAuthority);
  EXPECT_EQ(dialler->inner, nullptr);
  ASSERT_TRUE(accepter->error);
  EXPECT_EQ(accepter->error->reason, Reason::kCertificateRefused) << accepter->error->detail;
  EXPECT_EQ(accepter->inner, nullptr);
}

TEST_F(HandshakeTest, AnAuthorityOfTheSameNameIsAnother) {
  Authority impostor("the authority");
  meet(impostor.issue({{"lb1"}}, &authority), good("agent-1"));
  ASSERT_TRUE(accepter->error);
  EXPECT_EQ(accepter->error->reason, Reason::kUnknownAuthority);
}

TEST_F(HandshakeTest, AnExpiredCertificateIsRefused) {
  meet(authority.issue({{"lb1"}, seconds(-60), seconds(-30)}), good("agent-1"));
  ASSERT_TRUE(accepter->error);
  EXPECT_EQ(accepter->error->reason, Reason::kCertificateExpired);
  EXPECT_THAT(accepter->error->detail, HasSubstr("renew it"));
  EXPECT_EQ(accepter->inner, nullptr);
  ASSERT_TRUE(dialler->error);
  EXPECT_EQ(dialler->error->reason, Reason::kCertificateRefused);
  EXPECT_THAT(dialler->error->detail, HasSubstr("expired"));
}

TEST_F(HandshakeTest, ACertificateOfTomorrowIsRefused) {
  meet(good("lb1"), authority.issue({{"agent-1"}, seconds(3600), seconds(7200)}));
  ASSERT_TRUE(dialler->error);
  EXPECT_EQ(dialler->error->reason, Reason::kCertificateExpired);
  EXPECT_THAT(dialler->error->detail, HasSubstr("clock"));
}

TEST_F(HandshakeTest, ACertificateForAnotherPurposeIsRefused) {
  meet(authority.issue({{"lb1"}, seconds(-60), seconds(60), "serverAuth"}), good("agent-1"));
  ASSERT_TRUE(accepter->error);
  EXPECT_EQ(accepter->error->reason, Reason::kBadCertificate);
  EXPECT_THAT(accepter->error->detail, HasSubstr("clientAuth"));
}

TEST_F(HandshakeTest, WhoeverIsTurnedAwayAfterTheHandshakeHearsNothing) {
  dialler.emplace(good("lb1"), Role::kDialling, Error{Reason::kWrongCertificate, "not its name"});
  accepter.emplace(good("agent-1"), Role::kAccepting);
  exchange(*dialler, *accepter);
  ASSERT_TRUE(dialler->error);
  EXPECT_EQ(dialler->error->reason, Reason::kWrongCertificate);
  EXPECT_EQ(accepter->script.received, "");
  EXPECT_FALSE(dialler->session->wants_input());
  dialler->close(*dialler->error);
  ASSERT_TRUE(dialler->failed);
  EXPECT_EQ(dialler->failed->reason, Reason::kWrongCertificate);
}

TEST_F(HandshakeTest, AHelloWithoutTlsIsNamed) {
  accepter.emplace(good("agent-1"), Role::kAccepting);
  accepter->give("HAProxyS 2.1\nagent-1\nlb1 1 1\n");
  ASSERT_TRUE(accepter->error);
  EXPECT_EQ(accepter->error->reason, Reason::kNoTls);
  EXPECT_THAT(accepter->error->detail, HasSubstr("`server` line"));
  EXPECT_EQ(accepter->take(), "");
}

TEST_F(HandshakeTest, AnAnswerWithoutTlsIsNamed) {
  dialler.emplace(good("lb1"), Role::kDialling);
  EXPECT_EQ(dialler->take().substr(0, 2), "\x16\x03");
  dialler->give("501\n");
  ASSERT_TRUE(dialler->error);
  EXPECT_EQ(dialler->error->reason, Reason::kNoTls);
  EXPECT_THAT(dialler->error->detail, HasSubstr("`bind` line"));
}

TEST_F(HandshakeTest, GarbageThatBeginsLikeTlsIsRefused) {
  for (const std::string& garbage :
       {std::string("\x16\x03\x01") + std::string(200, 'x'), std::string("\x16\x03\x01\xff\xff"),
        std::string("\x16\xff\xff\x00\x10") + std::string(16, '\0'), std::string(5, '\x16'),
        std::string("\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9)}) {
    accepter.emplace(good("agent-1"), Role::kAccepting);
    accepter->give(garbage);
    accepter->give(std::string(100'000, '\x16'));
    ASSERT_TRUE(accepter->error);
    EXPECT_EQ(accepter->error->reason, Reason::kTlsFailed) << accepter->error->detail;
    EXPECT_EQ(accepter->inner, nullptr);
  }
}

TEST_F(HandshakeTest, OlderVersionsAreRefused) {
  dialler.emplace(good("lb1"), Role::kDialling);
  SSL_CTX_set_min_proto_version(dialler->context->raw(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(dialler->context->raw(), TLS1_1_VERSION);
  SSL_CTX_set_security_level(dialler->context->raw(), 0);
  dialler->start();
  accepter.emplace(good("agent-1"), Role::kAccepting);
  exchange(*dialler, *accepter);
  ASSERT_TRUE(accepter->error);
  EXPECT_EQ(accepter->error->reason, Reason::kTlsFailed);
  EXPECT_THAT(accepter->error->detail, HasSubstr("unsupported protocol"));
}

TEST_F(HandshakeTest, Version12Works) {
  accepter.emplace(good("agent-1"), Role::kAccepting);
  SSL_CTX_set_max_proto_version(accepter->context->raw(), TLS1_2_VERSION);
  accepter->start();
  dialler.emplace(good("lb1"), Role::kDialling);
  exchange(*dialler, *accepter, 1);
  talk();
}

TEST_F(HandshakeTest, ItTakesNoLongerThanItsDeadline) {
  accepter.emplace(good("agent-1"), Role::kAccepting);
  accepter->give("\x16");
  ASSERT_EQ(accepter->session->deadline(), kStart + seconds(5));
  EXPECT_TRUE(accepter->session->expire(kStart + seconds(4)));
  const auto expired = accepter->session->expire(kStart + seconds(5));
  ASSERT_FALSE(expired);
  EXPECT_EQ(expired.error().reason, Reason::kHandshakeTimeout);
  EXPECT_FALSE(accepter->session->deadline());
  accepter->close(expired.error());
  EXPECT_EQ(accepter->failed->reason, Reason::kHandshakeTimeout);
}

TEST_F(HandshakeTest, AnEndInTheMiddleIsTold) {
  dialler.emplace(good("lb1"), Role::kDialling);
  dialler->take();
  dialler->close({Reason::kConnectionLost, "closed by the other side"});
  ASSERT_TRUE(dialler->failed);
  EXPECT_EQ(dialler->failed->reason, Reason::kConnectionLost);
  EXPECT_THAT(dialler->failed->detail, HasSubstr("during the TLS handshake"));
  EXPECT_FALSE(dialler->script.end);
}

// A server's flight is given to anybody; only what the session within says is an answer.
TEST_F(HandshakeTest, AHandshakeIsNoAnswer) {
  meet(without_check(good("lb1")), without_check(good("agent-1")));
  EXPECT_FALSE(accepter->session->answers());
  EXPECT_TRUE(dialler->session->answers());
  accepter->inner->say("200");
  exchange(*dialler, *accepter);
  EXPECT_TRUE(accepter->session->answers());
}

// Whoever comes back shows a certificate again.
TEST_F(HandshakeTest, NoSessionIsResumed) {
  meet(good("lb1"), good("agent-1"));
  talk();
  EXPECT_EQ(SSL_CTX_sess_number(accepter->context->raw()), 0);
  EXPECT_NE(SSL_CTX_get_options(accepter->context->raw()) & SSL_OP_NO_TICKET, 0U);
  EXPECT_EQ(SSL_CTX_get_num_tickets(accepter->context->raw()), 0U);
}

}  // namespace
}  // namespace stickmesh::tls
