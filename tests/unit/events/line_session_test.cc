#include "tests/unit/events/line_fixture.h"

namespace stickmesh::events {
namespace {

using testing::HasSubstr;

TEST_F(LineSessionTest, LinesAddToTheAgentsOwnContribution) {
  declare("login", {{DataType::kGpc0, 1, {}}, {DataType::kGpc0Rate, 1, Duration(60'000)}});
  ASSERT_TRUE(say("track login amy gpc0=1 gpc0_rate=1\ntrack login joe gpc0=5\ntrack login amy gpc0=2\n"));
  EXPECT_EQ(own("login", "amy"), 3);
  EXPECT_EQ(own("login", "joe"), 5);
  const store::Table& table = *agent_.registry.find("login")->table;
  const auto id = table.find(table.find(as_bytes("amy")), agent_.hub.own_origin());
  EXPECT_EQ(table.rate(id, table.layout().columns()[1], 0).current, 1U);
  EXPECT_EQ(counter_.counters().lines, 3U);
  EXPECT_EQ(counter_.counters().counted, 3U);
  EXPECT_EQ(last_error(), "");
}

TEST_F(LineSessionTest, BytesMayComeInAnyPieces) {
  declare("http", {{DataType::kGpc0, 1, {}}});
  for (const char byte :
       std::string("track http a%20b gpc0=7\ntrack /http a%20b gpc0=1\ntrack http a%20b gpc0=10")) {
    ASSERT_TRUE(say({&byte, 1}));
  }
  EXPECT_EQ(own("http", "a b"), 8) << "the last line has no end";
  ASSERT_TRUE(say("0\n"));
  EXPECT_EQ(own("http", "a b"), 108);
}

TEST_F(LineSessionTest, AWrongLineIsLeftOutWholeAndNamed) {
  declare("http", {{DataType::kGpc0, 1, {}}, {DataType::kConnCur, 1, {}}, {DataType::kGpt0, 1, {}}});
  const std::pair<const char*, const char*> lines[] = {
      {"track nowhere k gpc0=1", "there is no table 'nowhere'"},
      {"track http.total k gpc0=1", "'http.total' is a total"},
      {"track http k gpc0=1 http_req_cnt=1", "http_req_cnt: table 'http' stores no such type"},
      {"track http k gpc0=1 conn_cur=1", "conn_cur: events cannot tell"},
      {"track http k gpc0=1 gpt0=1", "gpt0: it is no counter"},
      {"track http k gpc0=1 gpc0=1", "gpc0: it is named twice"},
      {"track http %00 gpc0=1", "the keys of table 'http' are of type string"},
  };
  for (const auto& [line, why] : lines) {
    ASSERT_TRUE(say(std::string(line) + "\n"));
    EXPECT_THAT(last_error(), testing::AllOf(HasSubstr("event line of 127.0.0.1:4000"), HasSubstr(why)));
  }
  EXPECT_EQ(own("http", "k"), -1);
  EXPECT_EQ(counter_.counters().refused, std::size(lines));
  ASSERT_TRUE(say("garbage\ntrack http k gpc0=1\n"));
  EXPECT_EQ(own("http", "k"), 1) << "the lines behind it count";
  EXPECT_EQ(counter_.counters().malformed, 1U);
  EXPECT_EQ(agent_.errors.count(Reason::kBadMessage), 6U);
  EXPECT_EQ(agent_.errors.count(Reason::kNotFound), 1U);
  EXPECT_EQ(agent_.errors.count(Reason::kBadKey), 1U);
}

TEST_F(LineSessionTest, ALineWithoutAnEndEndsTheConnection) {
  declare("http", {{DataType::kGpc0, 1, {}}});
  const std::string longest =
      "track http " + std::string(LineSession::kMaxLine - std::string("track http  gpc0=1").size(), 'k') +
      " gpc0=1";
  ASSERT_EQ(longest.size(), LineSession::kMaxLine);
  ASSERT_TRUE(say(longest));
  ASSERT_TRUE(say("\n")) << "just not too long";
  EXPECT_EQ(counter_.counters().counted, 1U);
  const auto ended = say("track http k gpc0=1\n" + longest + " \ntrack http k gpc0=1\n");
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().reason, Reason::kMessageTooLong);
  EXPECT_EQ(own("http", "k"), 1) << "what came before counts";
}

TEST_F(LineSessionTest, EndlessBytesCostNoMemory) {
  const std::string piece(1000, 'x');
  int taken = 0;
  while (say(piece)) ASSERT_LT(++taken, 5);
  EXPECT_EQ(taken, 4);
}

TEST_F(LineSessionTest, CountersStopAtTheirMaximum) {
  declare("http", {{DataType::kGpc0, 1, {}}});
  ASSERT_TRUE(say("track http k gpc0=4294967290\ntrack http k gpc0=9223372036854775807\n"));
  EXPECT_EQ(own("http", "k"), 4294967295);
}

}  // namespace
}  // namespace stickmesh::events
