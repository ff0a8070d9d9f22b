#include "tests/unit/allocations.h"
#include "tests/unit/spoe/session_fixture.h"

namespace stickmesh::spoe {
namespace {

constexpr TimePoint kNow{std::chrono::hours(1)};

/// Reads all arguments, answers with three variables and keeps nothing.
class CountingHandler : public Handler {
 public:
  std::size_t events = 0, arguments = 0;

  void established(const HaproxyHello&, TimePoint) override {}
  Result<void> notified(MessageReader messages, Answer& answer, TimePoint) override {
    ++events;
    while (messages.next()) {
      while (messages.argument()) ++arguments;
    }
    answer.set(Scope::kTransaction, "http_req_rate", Value::int64(static_cast<std::int64_t>(arguments)));
    answer.set(Scope::kTransaction, "verdict", Value::string("allow"));
    answer.set(Scope::kTransaction, "found", Value::boolean(true));
    return {};
  }
  void refused(std::uint64_t, const Error&, TimePoint) override {}
  bool draining() const override { return false; }
};

TEST(AllocationTest, EventsNeedNoMemoryInTheLongRun) {
  CountingHandler handler;
  Options options;
  options.clock = [] { return kNow; };
  SpoeSession session(options, handler, kNow);
  ASSERT_TRUE(session.receive(haproxy_hello(), kNow));
  ByteVector batch;
  for (std::uint64_t id = 1; id <= 40; ++id) batch = batch + notify(id * 1000);
  std::size_t before = 0;
  for (int round = 0; round < 100; ++round) {
    if (round == 50) before = allocations;
    const std::size_t cut = static_cast<std::size_t>(round) * 7 % batch.size();
    ASSERT_TRUE(session.receive(Bytes(batch).first(cut), kNow));
    ASSERT_TRUE(session.receive(Bytes(batch).subspan(cut), kNow));
    session.sent(session.pending().size() / 2, kNow);
    session.sent(session.pending().size(), kNow);
  }
  EXPECT_EQ(allocations - before, 0U);
  EXPECT_EQ(handler.events, 4000U);
  EXPECT_EQ(handler.arguments, 12000U);
}

TEST(AllocationTest, LateEventsNeedNoneEither) {
  CountingHandler handler;
  Options options;
  options.clock = [] { return kNow + Duration(1000); };
  SpoeSession session(options, handler, kNow);
  ASSERT_TRUE(session.receive(haproxy_hello(), kNow));
  const ByteVector event = notify();
  std::size_t before = 0;
  for (int round = 0; round < 100; ++round) {
    if (round == 50) before = allocations;
    ASSERT_TRUE(session.receive(event, kNow));
    session.sent(session.pending().size(), kNow);
  }
  EXPECT_EQ(allocations - before, 0U);
  EXPECT_EQ(session.counters().overloaded, 100U);
}

}  // namespace
}  // namespace stickmesh::spoe
