#include "agent/admin/cli_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

namespace stickmesh::admin {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Says each of |pieces| in turn; an empty one is "not ready".
class PiecesAnswer final : public Answer {
 public:
  PiecesAnswer(std::vector<std::string> pieces, std::size_t& asked, Duration patience = {})
      : pieces_(std::move(pieces)), asked_(asked), patience_(patience) {}
  bool more(std::string& out, TimePoint) override {
    ++asked_;
    out += pieces_[next_++];
    return next_ < pieces_.size();
  }
  Duration patience() const override { return patience_; }

 private:
  std::vector<std::string> pieces_;
  std::size_t next_ = 0;
  std::size_t& asked_;
  Duration patience_;
};

class CliSessionTest : public ::testing::Test, public CommandHandler {
 protected:
  std::unique_ptr<Answer> run(std::string_view line, TimePoint) override {
    lines.emplace_back(line);
    return answer(line);
  }

  void send(std::string_view text) { ASSERT_TRUE(session.receive(as_bytes(text), now).has_value()); }
  /// Reads |chunk| bytes at a time until the session has no more to say for now.
  std::string read_all(std::size_t chunk = 1U << 20U) {
    std::string text;
    while (!session.pending().empty()) {
      most_pending = std::max(most_pending, session.pending().size());
      const std::size_t size = std::min(chunk, session.pending().size());
      text += as_text(session.pending().first(size));
      session.sent(size, now);
    }
    return text;
  }

  TimePoint now{Duration(1000000)};
  std::vector<std::string> lines;
  std::size_t asked = 0;
  std::size_t most_pending = 0;
  std::function<std::unique_ptr<Answer>(std::string_view)> answer = [this](std::string_view line) {
    return std::make_unique<PiecesAnswer>(std::vector<std::string>{"<" + std::string(line) + ">\n"}, asked);
  };
  CliSession session{*this, now};
};

// What comes before it is long enough to be sent before it is asked for.
TEST_F(CliSessionTest, TheLastPieceMayBeEmpty) {
  for (const auto& [end, expected] : {std::pair("\n", "\n"), std::pair("", "\n\n")}) {
    CliSession other(*this, now);
    const std::string piece = std::string(100'000, 'x') + end;
    answer = [&](std::string_view) {
      return std::make_unique<PiecesAnswer>(std::vector<std::string>{piece, ""}, asked);
    };
    ASSERT_TRUE(other.receive(as_bytes("show table http\n"), now).has_value());
    std::string text;
    while (!other.pending().empty()) {
      text += as_text(other.pending());
      other.sent(other.pending().size(), now);
    }
    EXPECT_EQ(text, piece + expected);
  }
}

TEST_F(CliSessionTest, AnswersOneLineAndIsOver) {
  EXPECT_TRUE(session.wants_input());
  send("show info\n");
  EXPECT_FALSE(session.wants_input());
  EXPECT_EQ(read_all(), "<show info>\n\n");
  ASSERT_TRUE(session.close_reason().has_value());
  EXPECT_THAT(lines, ElementsAre("show info"));
}

TEST_F(CliSessionTest, TakesALineInSingleBytesAndIgnoresWhatFollows) {
  for (const char byte : std::string("  show info\r\nshow peers\n")) send({&byte, 1});
  EXPECT_EQ(read_all(1), "<show info>\n\n");
  EXPECT_THAT(lines, ElementsAre("show info"));
}

TEST_F(CliSessionTest, RunsCommandsInOrderAndSeparatesTheirAnswers) {
  send("a; b ;;c\n");
  EXPECT_EQ(read_all(), "<a>\n\n<b>\n\n<c>\n\n");
  EXPECT_THAT(lines, ElementsAre("a", "b", "c"));
}

TEST_F(CliSessionTest, ABackslashKeepsASemicolonInItsCommand) {
  send("key a\\;b; key c\\\\;d\\\n");
  read_all();
  EXPECT_THAT(lines, ElementsAre("key a\\;b", "key c\\\\", "d\\"));
}

TEST_F(CliSessionTest, StartsACommandOnlyWhenTheOneBeforeIsAnswered) {
  answer = [this](std::string_view line) {
    return std::make_unique<PiecesAnswer>(std::vector<std::string>{std::string(line), "", "!"}, asked);
  };
  send("a;b\n");
  EXPECT_EQ(read_all(), "a");
  EXPECT_EQ(lines.size(), 1U);
  ASSERT_TRUE(session.expire(now).has_value());
  EXPECT_EQ(read_all(), "!\n\nb");
  EXPECT_EQ(lines.size(), 2U);
}

TEST_F(CliSessionTest, AnEmptyLineIsAnsweredByAnEmptyLine) {
  for (const std::string_view line : {"\n", " \r\n", ";;\n"}) {
    CliSession other(*this, now);
    ASSERT_TRUE(other.receive(as_bytes(line), now).has_value());
    EXPECT_EQ(as_text(other.pending()), "\n");
    EXPECT_TRUE(other.close_reason().has_value());
  }
  EXPECT_TRUE(lines.empty());
}

TEST_F(CliSessionTest, EndsAnAnswerThatLacksItsLineEnd) {
  answer = [this](std::string_view) {
    return std::make_unique<PiecesAnswer>(std::vector<std::string>{"no end"}, asked);
  };
  send("a\n");
  EXPECT_EQ(read_all(), "no end\n\n");
}

TEST_F(CliSessionTest, ALineOfTheGreatestLengthIsTakenALongerOneRefused) {
  const std::string longest(CliSession::kMaxLine, 'x');
  {
    CliSession other(*this, now);
    ASSERT_TRUE(other.receive(as_bytes(longest), now).has_value());
    ASSERT_TRUE(other.receive(as_bytes("\n"), now).has_value());
    EXPECT_EQ(lines.size(), 1U);
  }
  send(longest);
  EXPECT_TRUE(session.wants_input());
  send("x");
  EXPECT_FALSE(session.wants_input());
  EXPECT_THAT(read_all(), HasSubstr("error: the line is longer than 65536 bytes"));
  ASSERT_TRUE(session.close_reason().has_value());
  EXPECT_EQ(session.close_reason()->reason, Reason::kMessageTooLong);
  EXPECT_EQ(lines.size(), 1U);
}

TEST_F(CliSessionTest, ALongAnswerIsMadeAsItIsRead) {
  const std::vector<std::string> pieces(500, std::string(16384, 'r'));
  answer = [&](std::string_view) { return std::make_unique<PiecesAnswer>(pieces, asked); };
  send("show table http\n");
  EXPECT_EQ(asked, 1U);
  EXPECT_EQ(read_all(1000).size(), 500 * 16384U + 2);
  EXPECT_EQ(asked, 500U);
  EXPECT_LT(most_pending, 2 * 16384U + 2);
}

TEST_F(CliSessionTest, AnAnswerThatIsNotReadyIsAskedAgainAfterItsPatience) {
  answer = [this](std::string_view) {
    return std::make_unique<PiecesAnswer>(std::vector<std::string>{"", "", "done\n"}, asked, 50ms);
  };
  send("reload\n");
  EXPECT_EQ(session.deadline(), now + 50ms);
  now += 50ms;
  ASSERT_TRUE(session.expire(now).has_value());
  EXPECT_TRUE(session.pending().empty());
  now += 1h;  // the client is not at fault
  ASSERT_TRUE(session.expire(now).has_value());
  EXPECT_EQ(read_all(), "done\n\n");
}

TEST_F(CliSessionTest, AClientThatSendsNothingIsClosed) {
  now += 20s;
  send("show");
  EXPECT_EQ(session.deadline(), now + 30s);
  now += 30s;
  const Result<void> end = session.expire(now);
  ASSERT_FALSE(end.has_value());
  EXPECT_EQ(end.error().reason, Reason::kIdleTimeout);
}

TEST_F(CliSessionTest, AClientThatDoesNotReadIsClosedWithoutFurtherPieces) {
  const std::vector<std::string> pieces(500, std::string(16384, 'r'));
  answer = [&](std::string_view) { return std::make_unique<PiecesAnswer>(pieces, asked); };
  send("show table http\n");
  now += 29s;
  session.sent(1, now);  // progress
  EXPECT_EQ(session.deadline(), now + 30s);
  now += 30s;
  const Result<void> end = session.expire(now);
  ASSERT_FALSE(end.has_value());
  EXPECT_EQ(end.error().reason, Reason::kNotReading);
  EXPECT_LE(asked, 2U);
}

TEST_F(CliSessionTest, DropsTheAnswerWhenTheConnectionEnds) {
  struct Tracer final : Answer {
    explicit Tracer(bool& gone) : gone_(gone) {}
    ~Tracer() override { gone_ = true; }
    bool more(std::string& out, TimePoint) override {
      out += "x";
      return true;
    }
    bool& gone_;
  };
  bool gone = false;
  answer = [&](std::string_view) { return std::make_unique<Tracer>(gone); };
  send("a\n");
  EXPECT_FALSE(gone);
  session.closed({Reason::kConnectionLost, ""}, now);
  EXPECT_TRUE(gone);
}

}  // namespace
}  // namespace stickmesh::admin
