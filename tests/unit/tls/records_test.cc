#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "agent/tls/openssl.h"
#include "agent/tls/refusal.h"
#include "tests/unit/tls/authority.h"
#include "tests/unit/tls/ends.h"

namespace stickmesh::tls {
namespace {

using std::chrono::seconds;

class RecordsTest : public testing::Test {
 protected:
  RecordsTest() { exchange(a, b); }

  static std::string text(std::size_t size) {
    std::string bytes(size, '\0');
    std::uint32_t state = 1;
    for (char& c : bytes) c = static_cast<char>((state = state * 1664525U + 1013904223U) >> 24U);
    return bytes;
  }

  Authority authority{"ca"};
  End a{authority.issue({{"lb1"}}), Role::kDialling};
  End b{authority.issue({{"agent-1"}}), Role::kAccepting};
};

TEST_F(RecordsTest, MuchArrivesAsItWasSaid) {
  for (const std::size_t piece : {1U, 1000U, 65536U}) {
    const std::string said = text(300'000);
    b.script.received.clear();
    a.inner->say(said);
    exchange(a, b, piece);
    EXPECT_TRUE(b.script.received == said);
    EXPECT_TRUE(a.script.output.empty());
  }
}

TEST_F(RecordsTest, WhatWaitsIsOneBatchAtMost) {
  a.inner->say(text(1'000'000));
  const std::size_t waits = a.session->pending().size();
  EXPECT_GT(waits, 65'000U);
  EXPECT_LT(waits, 67'000U);
  EXPECT_EQ(a.session->pending().size(), waits);
  EXPECT_EQ(a.script.output.size(), 1'000'000U);
}

// The session must hear of a slow reader's progress, or it would take it for one that stands still.
TEST_F(RecordsTest, ProgressIsToldInProportion) {
  a.inner->say(text(60'000));
  std::size_t passed = 0;
  for (int step = 0; step < 5; ++step) {
    const std::size_t all = a.session->pending().size();
    a.session->sent(std::min<std::size_t>(10'000, all), kStart);
    const std::size_t now = std::accumulate(a.script.sends.begin(), a.script.sends.end(), std::size_t{0});
    EXPECT_GT(now, passed + 9'000);
    EXPECT_LE(now, passed + 10'000);
    passed = now;
  }
  while (!a.session->pending().empty()) a.session->sent(1, kStart);
  EXPECT_EQ(std::accumulate(a.script.sends.begin(), a.script.sends.end(), std::size_t{0}), 60'000U);
}

TEST_F(RecordsTest, WhatIsSaidMeanwhileFollowsTheBatch) {
  a.inner->say("one ");
  std::string first(as_text(a.session->pending()));
  a.inner->say("two");
  EXPECT_EQ(as_text(a.session->pending()), first);
  b.give(a.take());
  EXPECT_EQ(b.script.received, "one ");
  b.give(a.take());
  EXPECT_EQ(b.script.received, "one two");
}

TEST_F(RecordsTest, ManySmallPiecesBecomeOneRecord) {
  for (int piece = 0; piece < 1000; ++piece) a.inner->say("0123456789");
  EXPECT_LT(a.session->pending().size(), 10'100U);
}

TEST_F(RecordsTest, TheConnectionIsWokenForWhatWasSaidOutsideItsCalls) {
  int woken = 0;
  a.session->set_wakeup([&] { ++woken; });
  a.inner->say("x");
  EXPECT_EQ(woken, 1);
}

TEST_F(RecordsTest, ASessionThatStopsReadingIsHandedNoMore) {
  b.script.reads = false;
  EXPECT_FALSE(b.session->wants_input());
  b.script.reads = true;
  a.inner->say(text(200'000));
  b.script.output = "answers";
  b.give(a.take());
  b.script.reads = false;
  const std::size_t before = b.script.received.size();
  EXPECT_FALSE(b.session->wants_input());
  // A connection does not read now; the one buffer that it had read is kept.
  b.give(a.take());
  EXPECT_EQ(b.script.received.size(), before);
  b.script.reads = true;
  EXPECT_FALSE(b.take().empty());
  EXPECT_GT(b.script.received.size(), before + 60'000);
  exchange(a, b);
  EXPECT_TRUE(b.script.received == text(200'000));
}

TEST_F(RecordsTest, WhatFailsWhileItResumesEndsTheSession) {
  a.inner->say(text(1000));
  b.script.reads = false;
  b.script.output = "x";
  b.give(a.take());
  EXPECT_EQ(b.script.received.size(), 0U);
  b.script.reads = true;
  b.script.refuses = Error{Reason::kBadKey, "no"};
  b.take();
  ASSERT_TRUE(b.session->close_reason());
  EXPECT_EQ(b.session->close_reason()->reason, Reason::kBadKey);
}

TEST_F(RecordsTest, BytesThatWaitAreNotRead) {
  b.session->set_unread([] { return std::size_t{7}; });
  a.inner->say("x");
  b.give(a.take());
  EXPECT_EQ(b.script.unread, 7U);
}

TEST_F(RecordsTest, AnErrorOfTheSessionStillSendsItsLastWords) {
  b.script.refuses = Error{Reason::kBadKey, "no"};
  a.inner->say("x");
  b.script.output = "error";
  b.give(a.take());
  ASSERT_TRUE(b.error);
  EXPECT_EQ(b.error->reason, Reason::kBadKey);
  EXPECT_FALSE(b.session->wants_input());
  a.give(b.take());
  EXPECT_EQ(a.script.received, "error");
  ASSERT_TRUE(a.error);  // close_notify follows
  EXPECT_EQ(a.error->reason, Reason::kConnectionLost);
}

TEST_F(RecordsTest, ASessionThatIsOverPartsProperly) {
  a.inner->say("last words");
  a.script.close_reason = Error{Reason::kReplacedSession, "over"};
  ASSERT_TRUE(a.session->close_reason());
  EXPECT_EQ(a.session->close_reason()->reason, Reason::kReplacedSession);
  EXPECT_FALSE(a.session->deadline());
  b.give(a.take());
  EXPECT_EQ(b.script.received, "last words");
  ASSERT_TRUE(b.error);
  EXPECT_EQ(b.error->reason, Reason::kConnectionLost);
  EXPECT_EQ(b.error->detail, "closed by the other side");
  EXPECT_FALSE(b.take().empty());  // its own close_notify
  EXPECT_TRUE(a.session->pending().empty());
}

TEST_F(RecordsTest, AFlippedBitEndsTheSession) {
  a.inner->say("x");
  std::string record = a.take();
  record[record.size() / 2] = static_cast<char>(record[record.size() / 2] ^ 1);
  b.give(record);
  ASSERT_TRUE(b.error);
  EXPECT_EQ(b.error->reason, Reason::kTlsFailed);
  EXPECT_EQ(b.script.received, "");
  b.close(*b.error);
  EXPECT_EQ(b.script.end->reason, Reason::kTlsFailed);
  EXPECT_FALSE(b.failed);
}

TEST_F(RecordsTest, ARecordAboveTheLargestIsRefused) {
  b.give(std::string("\x17\x03\x03\xff\xff", 5) + std::string(65'535, 'x'));
  ASSERT_TRUE(b.error);
  EXPECT_EQ(b.error->reason, Reason::kTlsFailed);
}

TEST_F(RecordsTest, APieceOfARecordWaits) {
  const std::string record("\x17\x03\x03\x40\x00", 5);
  b.give(record);
  EXPECT_FALSE(b.error);
  EXPECT_TRUE(b.session->wants_input());
}

// Each asks for an answer. OpenSSL's own client, since this agent never asks.
TEST_F(RecordsTest, RequestsForNewKeysWithoutEndMustTakeTheAnswers) {
  b.start();
  const Owned<SSL> client(SSL_new(a.context->raw()));
  BIO* from = BIO_new(BIO_s_mem());
  BIO* to = BIO_new(BIO_s_mem());
  SSL_set_bio(client.get(), from, to);
  SSL_set_connect_state(client.get());
  const auto carry = [&] {
    std::string bytes(200'000, '\0');
    bytes.resize(
        static_cast<std::size_t>(std::max(BIO_read(to, bytes.data(), static_cast<int>(bytes.size())), 0)));
    b.give(bytes);
    return bytes.size();
  };
  Verification ignored;
  SSL_set_ex_data(client.get(), 0, &ignored);
  while (SSL_do_handshake(client.get()) != 1) {
    carry();
    const std::string answer = b.take();
    BIO_write(from, answer.data(), static_cast<int>(answer.size()));
  }
  carry();
  ASSERT_NE(b.inner, nullptr);
  int given = 0;
  for (; b.session->wants_input() && given < 100'000; ++given) {
    SSL_key_update(client.get(), SSL_KEY_UPDATE_REQUESTED);
    ASSERT_EQ(SSL_do_handshake(client.get()), 1);
    ASSERT_GT(carry(), 0U);
    ASSERT_FALSE(b.error) << b.error->detail;
  }
  EXPECT_LT(given, 10'000);
  EXPECT_LT(b.session->pending().size(), 140'000U);
  ASSERT_EQ(SSL_write(client.get(), "hello", 5), 5);
  carry();
  EXPECT_EQ(b.script.received, "");
  b.take();
  EXPECT_TRUE(b.session->wants_input());
  EXPECT_EQ(b.script.received, "hello");
}

TEST_F(RecordsTest, TimeIsTheSessionsOwnAfterTheHandshake) {
  EXPECT_FALSE(b.session->deadline());
  b.script.deadline = kStart + seconds(9);
  EXPECT_EQ(b.session->deadline(), kStart + seconds(9));
  const auto expired = b.session->expire(kStart + seconds(9));
  ASSERT_FALSE(expired);
  EXPECT_EQ(expired.error().reason, Reason::kIdleTimeout);
}

}  // namespace
}  // namespace stickmesh::tls
