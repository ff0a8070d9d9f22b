#include "agent/config/quote.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace stickmesh::config {
namespace {

TEST(QuoteTest, EscapesAndCuts) {
  EXPECT_EQ(quote("lb1"), R"("lb1")");
  EXPECT_EQ(quote("a\"b\\"), R"("a\"b\\")");
  EXPECT_EQ(quote("a\nb\x7f"), R"("a\x0ab\x7f")");
  EXPECT_EQ(quote(std::string(60, 'a')), '"' + std::string(60, 'a') + '"');
  EXPECT_EQ(quote(std::string(61, 'a')), '"' + std::string(60, 'a') + "...\"");
}

TEST(QuoteTest, CountsEdits) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("abc", ""), 3U);
  EXPECT_EQ(edit_distance("listen", "lisen"), 1U);
  EXPECT_EQ(edit_distance("listen", "lsiten"), 1U);
  EXPECT_EQ(edit_distance("listen", "listem"), 1U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_GE(edit_distance(std::string(1'000'000, 'a'), "a"), 64U);
}

TEST(QuoteTest, SuggestsOnlyWhatIsNear) {
  const std::vector<std::string_view> known = {"publish-interval", "away-after", "to", "tls"};
  EXPECT_EQ(did_you_mean("publish_interval", known), "; did you mean publish-interval?");
  EXPECT_EQ(did_you_mean("publsh-intervall", known), "; did you mean publish-interval?");
  EXPECT_EQ(did_you_mean("tsl", known), "; did you mean tls?");
  EXPECT_EQ(did_you_mean("away", known), "; did you mean away-after?");
  EXPECT_EQ(did_you_mean("max-memory", known), "");
  EXPECT_EQ(did_you_mean("", known), "");
}

}  // namespace
}  // namespace stickmesh::config
