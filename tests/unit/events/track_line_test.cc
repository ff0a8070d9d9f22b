#include "agent/events/track_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stickmesh::events {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Count = TrackLine::Count;

std::string error_of(std::string_view text) {
  TrackLine line;
  const auto parsed = parse_track_line(text, line);
  return parsed ? "" : to_string(parsed.error());
}

TEST(TrackLineTest, HasATableAKeyAndCounts) {
  TrackLine line;
  ASSERT_TRUE(parse_track_line("track login 192.0.2.7 gpc0=1 gpc0_rate=20", line));
  EXPECT_EQ(line.table, "login");
  EXPECT_EQ(line.key, "192.0.2.7");
  EXPECT_THAT(line.counts, ElementsAre(Count{"gpc0", 1}, Count{"gpc0_rate", 20}));
}

TEST(TrackLineTest, KeysAreDecoded) {
  TrackLine line;
  ASSERT_TRUE(parse_track_line("track t a%20b%25%0a%00%Ff\xc3\xbc+= gpc0=0", line));
  EXPECT_EQ(line.key, std::string("a b%\n\0\xff\xc3\xbc+=", 11));
}

TEST(TrackLineTest, WhatIsUsedAgainStartsEmpty) {
  TrackLine line;
  ASSERT_TRUE(parse_track_line("track login a-long-key gpc0=1 gpc1=1", line));
  ASSERT_TRUE(parse_track_line("track http k gpc0=2", line));
  EXPECT_EQ(line.key, "k");
  EXPECT_THAT(line.counts, ElementsAre(Count{"gpc0", 2}));
}

TEST(TrackLineTest, NumbersEndAtTheLargestOfHaproxy) {
  TrackLine line;
  ASSERT_TRUE(parse_track_line("track t k bytes_in_cnt=9223372036854775807", line));
  EXPECT_EQ(line.counts[0].number, INT64_MAX);
  for (const char* number : {"9223372036854775808", "-1", "-0", "+1", "", "1x", "0x1", "1.5"}) {
    EXPECT_THAT(error_of(std::string("track t k gpc0=") + number), HasSubstr("no number")) << number;
  }
}

TEST(TrackLineTest, WhatIsNoSuchLineIsRefused) {
  const std::pair<const char*, const char*> lines[] = {
      {"", "the first word is not 'track'"},
      {"TRACK t k gpc0=1", "the first word is not 'track'"},
      {" track t k gpc0=1", "the first word is not 'track'"},
      {"track", "the table is missing"},
      {"track  t k gpc0=1", "the table is missing"},
      {"track t", "the key is missing"},
      {"track t  gpc0=1", "the key is missing"},
      {"track t k", "it names no data type"},
      {"track t k ", "it names no data type"},
      {"track t SECRET gpc0", "word 4 is not TYPE=N: \"track t \"..."},
      {"track t k =1", "word 4 is not TYPE=N"},
      {"track t k gpc0=1 ", "a space at the end"},
      {"track t k gpc0=1  gpc1=1", "word 5 is not TYPE=N"},
      {"track t k gpc0=1\r", "a control character"},
      {"track t\tk gpc0=1", "a control character"},
      {"track t %2 gpc0=1", "two hexadecimal digits"},
      {"track t %zz gpc0=1", "two hexadecimal digits"},
      {"track t %1g gpc0=1", "two hexadecimal digits"},
      {"track t % gpc0=1", "two hexadecimal digits"},
  };
  for (const auto& [text, why] : lines) {
    EXPECT_THAT(error_of(text), testing::AllOf(HasSubstr("bad-message"), HasSubstr(why))) << text;
  }
}

TEST(TrackLineTest, WhatWasWrittenIsReadAgain) {
  std::string key;
  for (int byte = 0; byte < 256; ++byte) key.push_back(static_cast<char>(byte));
  TrackLine written;
  written.table = "http";
  written.key = key;
  written.counts = {{"gpc0", 0}, {"bytes_in_cnt", INT64_MAX}};
  const std::string text = to_text(written);
  ASSERT_EQ(text.find('\n'), text.size() - 1);
  TrackLine line;
  ASSERT_TRUE(parse_track_line(std::string_view(text).substr(0, text.size() - 1), line));
  EXPECT_EQ(line.table, "http");
  EXPECT_EQ(line.key, key);
  EXPECT_EQ(line.counts, written.counts);
}

}  // namespace
}  // namespace stickmesh::events
