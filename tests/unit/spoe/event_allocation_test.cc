#include "spoe/session/session.h"
#include "tests/unit/allocations.h"
#include "tests/unit/spoe/event_fixture.h"

namespace stickmesh::spoe {
namespace {

using EventAllocationTest = EventHandlerTest;

TEST_F(EventAllocationTest, EventsNeedNoMemoryInTheLongRun) {
  declare("http", {{stickmesh::DataType::kHttpReqCnt, 1, {}},
                   {stickmesh::DataType::kHttpReqRate, 1, Duration(10'000)}});
  declare("sessions", {{stickmesh::DataType::kServerKey, 1, {}}});
  Options options;
  options.clock = [this] { return now_; };
  SpoeSession session(options, handler_, now_);
  ASSERT_TRUE(session.receive(haproxy_hello(), now_));
  const NamedValues one = {{"http_req_cnt", Value::int64(1)}, {"http_req_rate", Value::int64(1)}};
  ByteVector batch;
  for (std::uint64_t id = 1; id <= 40; ++id) {
    const std::string key = "a key that is too long to be kept in place " + std::to_string(id);
    NamedValues tracked = {{"table", Value::string("http")},
                           {"key", Value::string(std::string_view(key).substr(20))}};
    tracked.insert(tracked.end(), one.begin(), one.end());
    Event event;
    event.message("track-a-use-with-a-long-name", tracked);
    event.message("lookup", {{"table", Value::string("sessions")}, {"key", Value::string("joe")}});
    event.message("set-s", {{"table", Value::string("sessions")},
                            {"key", Value::string("joe")},
                            {"server_key", Value::string("web1")}});
    batch = batch + notify(id, 1, event.bytes());
  }
  std::size_t before = 0;
  for (int round = 0; round < 100; ++round) {
    if (round == 50) before = allocations;
    now_ += Duration(50);
    ASSERT_TRUE(session.receive(batch, now_));
    session.sent(session.pending().size(), now_);
    if (round < 50) agent_.hub.run(now_);
  }
  EXPECT_EQ(allocations - before, 0U);
  EXPECT_EQ(session.counters().answered, 4000U);
  EXPECT_EQ(handler_.counters().tracked, 4000U);
  EXPECT_EQ(handler_.counters().refused, 0U);
}

}  // namespace
}  // namespace stickmesh::spoe
