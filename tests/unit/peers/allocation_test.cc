#include "tests/unit/allocations.h"
#include "tests/unit/peers/session_fixture.h"

namespace stickmesh::peers {
namespace {

/// Counts what it is told and keeps nothing.
class CountingHandler : public Handler {
 public:
  std::size_t updates = 0;

  Result<void> admit(const Hello&, TimePoint) override { return {}; }
  void established(TimePoint) override {}
  std::optional<std::uint32_t> table_defined(const TableDefinition&, TimePoint) override { return 0; }
  void updated(std::uint32_t, const Update&, TimePoint) override { ++updates; }
  void lesson_requested(TimePoint) override {}
  void lesson_ended(bool, TimePoint) override {}
  void lesson_confirmed(TimePoint) override {}
  void acknowledged(TableId, std::uint32_t, TimePoint) override {}
  void writable(TimePoint) override {}
};

constexpr TimePoint kNow{std::chrono::hours(1)};

TEST(AllocationTest, ReceivedUpdatesNeedNoMemoryInTheLongRun) {
  CountingHandler handler;
  Options options;
  PeerSession session(options, handler, kNow);
  ASSERT_TRUE(session.receive(as_bytes("HAProxyS 2.1\nagent\nlb1 1 1\n"), kNow));
  // Two tables in turn, each repeating its definition, as HAProxy sends them under load.
  std::vector<std::byte> batch;
  for (int round = 0; round < 10; ++round) {
    const std::vector<std::byte> part = joined({vectors::kDefineSrc, vectors::kSrcEntry, vectors::kSrcTimed,
                                                vectors::kDefineT1, vectors::kT1Foo, vectors::kT1Bar});
    batch.insert(batch.end(), part.begin(), part.end());
  }
  std::size_t before = 0;
  for (int round = 0; round < 100; ++round) {
    if (round == 50) before = allocations;
    const std::size_t cut = static_cast<std::size_t>(round) % batch.size();
    ASSERT_TRUE(session.receive(Bytes(batch).first(cut), kNow));
    ASSERT_TRUE(session.receive(Bytes(batch).subspan(cut), kNow));
    session.sent(session.pending().size(), kNow);
  }
  EXPECT_EQ(allocations - before, 0U);
  EXPECT_EQ(handler.updates, 4000U);
}

TEST(AllocationTest, SentUpdatesNeedNoMemoryInTheLongRun) {
  CountingHandler handler;
  Options options;
  PeerSession session(options, handler, kNow);
  ASSERT_TRUE(session.receive(as_bytes("HAProxyS 2.1\nagent\nlb1 1 1\n"), kNow));
  const TableDefinition table = vectors::src_table();
  const std::vector<std::byte> key = from_hex("0a000001");
  UpdateEncoder encoder;
  std::size_t before = 0;
  for (std::uint32_t id = 1; id <= 2000; ++id) {
    if (id == 1000) before = allocations;
    session.select(1, table);
    encoder.begin(id, Duration(60'000));
    encoder.key(KeyType::kIpv4, key);
    encoder.number(id);
    encoder.number(~0U);
    encoder.rate(1000, id, id);
    session.append_update(encoder.finish());
    if (id % 100 == 0) session.sent(session.pending().size(), kNow);
  }
  EXPECT_EQ(allocations - before, 0U);
}

}  // namespace
}  // namespace stickmesh::peers
