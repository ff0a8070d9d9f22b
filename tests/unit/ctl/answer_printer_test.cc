#include "agent/ctl/answer_printer.h"

#include <gtest/gtest.h>

#include <sstream>

namespace stickmesh::ctl {
namespace {

struct Printed {
  std::string out, errors;
  bool whole = false, failed = false, stopping = false;
};

Printed print(Style style, std::string_view answer, std::size_t chunk = 1U << 20U) {
  std::ostringstream out, errors;
  AnswerPrinter printer(out, errors, style);
  for (; !answer.empty(); answer.remove_prefix(std::min(chunk, answer.size())))
    printer.feed(answer.substr(0, chunk));
  const bool whole = printer.finish();
  return {out.str(), errors.str(), whole, printer.failed(), printer.stopping()};
}

TEST(AnswerPrinterTest, RawIsTheAnswerWithoutItsFinalEmptyLine) {
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{3}, std::size_t{1000}}) {
    const Printed printed = print(Style::kRaw, "# name\tstate\nlb1\tup\n\nsecond\x1b\n\n", chunk);
    EXPECT_EQ(printed.out, "# name\tstate\nlb1\tup\n\nsecond\x1b\n");
    EXPECT_EQ(printed.errors, "");
    EXPECT_TRUE(printed.whole);
    EXPECT_FALSE(printed.failed);
  }
}

TEST(AnswerPrinterTest, ErrorsGoToTheirOwnStream) {
  const Printed printed =
      print(Style::kRaw, "fine\n\nerror: not-found: no table 'x'\nmore of it\n\nfine too\n\n");
  EXPECT_TRUE(printed.failed);
  EXPECT_FALSE(printed.stopping);
  EXPECT_EQ(printed.out, "fine\n\nfine too\n");
  EXPECT_EQ(printed.errors, "error: not-found: no table 'x'\nmore of it\n\n");
}

TEST(AnswerPrinterTest, AWordErrorInsideAnAnswerIsNoFailure) {
  EXPECT_FALSE(print(Style::kRaw, "list:\nerror: what show errors might say\n\n").failed);
}

TEST(AnswerPrinterTest, KnowsAnAgentThatStops) {
  const Printed printed = print(Style::kRaw, "fine\n\nerror: stopping: it was told to stop\n\n");
  EXPECT_TRUE(printed.failed);
  EXPECT_TRUE(printed.stopping);
  EXPECT_FALSE(print(Style::kRaw, "error: reload-failed: stopping\n\n").stopping);
}

TEST(AnswerPrinterTest, NoticesACutAnswer) {
  EXPECT_FALSE(print(Style::kRaw, "").whole);
  EXPECT_FALSE(print(Style::kRaw, "line\n").whole);
  EXPECT_FALSE(print(Style::kRaw, "line\n\nnext").whole);
  EXPECT_EQ(print(Style::kRaw, "line\n\nnext").out, "line\n\nnext\n");
  EXPECT_TRUE(print(Style::kRaw, "\n").whole);
}

TEST(AnswerPrinterTest, LinesBeforeATableKeepTheirFormAndDoNotWidenIt) {
  EXPECT_EQ(
      print(Style::kTerminal,
            "Name: lb1\nNote: what is longer than a cell of the table\n# table\tdirection\tlast_pushed\n"
            "/http\tin\t7\n/http.total\tout\t12\n\n")
          .out,
      "Name: lb1\nNote: what is longer than a cell of the table\n"
      "# table      direction  last_pushed\n"
      "/http        in         7\n"
      "/http.total  out        12\n");
}

TEST(AnswerPrinterTest, ATerminalGetsAlignedColumns) {
  EXPECT_EQ(
      print(Style::kTerminal, "# name\tstate\tnote\nlb1\tsynchronised\t\nl\xC3\xB6wenbr\xC3\xA4u\tup\tx\n\n")
          .out,
      "# name     state         note\n"
      "lb1        synchronised\n"
      "l\xC3\xB6wenbr\xC3\xA4u  up            x\n");
}

TEST(AnswerPrinterTest, ATableMayFollowAnother) {
  EXPECT_EQ(print(Style::kTerminal, "# a\tb\n1\t2\n# long name\tc\n3\t4\nplain\tnot\nend\n\n").out,
            "# a  b\n1    2\n# long name  c\n3            4\nplain        not\nend\n");
}

TEST(AnswerPrinterTest, OnlyTabSeparatedTextUnderAHeaderIsATable) {
  const std::string_view entries = "# table: http, type: ip\n0x1: key=1.2.3.4\tuse=0\n";
  EXPECT_EQ(print(Style::kTerminal, std::string(entries) + "\n").out, entries);
}

TEST(AnswerPrinterTest, ATerminalIsNotObeyedByKeys) {
  EXPECT_EQ(print(Style::kTerminal, "key=\x1b[31mred\x7f\r\n\n").out, "key=?[31mred??\n");
}

TEST(AnswerPrinterTest, ALongTableIsPrintedBeforeItsEnd) {
  std::ostringstream out, errors;
  AnswerPrinter printer(out, errors, Style::kTerminal);
  printer.feed("# a\tb\n");
  for (std::size_t row = 0; row < Columns::kSettlingRows; ++row) printer.feed("1\t2\n");
  EXPECT_FALSE(out.str().empty());
  printer.feed("longer than the rest\t3\n\n");
  printer.finish();
  EXPECT_NE(out.str().find("\nlonger than the rest  3\n"), std::string::npos);
}

}  // namespace
}  // namespace stickmesh::ctl
