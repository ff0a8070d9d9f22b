#include "agent/base/printable.h"

#include <gtest/gtest.h>

namespace stickmesh {
namespace {

TEST(PrintableTest, WhatIsTextStaysAndTheRestIsReplaced) {
  EXPECT_EQ(readable("GET / caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
            "GET / caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
  EXPECT_EQ(readable("a\tb\x7f"), "a?b?");
  EXPECT_EQ(readable("\xff\xfe"), "??");
  EXPECT_EQ(readable("a\x80z"), "a?z") << "a byte that continues nothing";
  EXPECT_EQ(readable("\xc3"), "?") << "cut short";
  EXPECT_EQ(readable("\xc0\xaf"), "??") << "overlong";
  EXPECT_EQ(readable("\xed\xa0\x80"), "???") << "a surrogate";
  EXPECT_EQ(readable("\xf4\x90\x80\x80"), "????") << "above U+10FFFF";
}

TEST(PrintableTest, NoCharacterIsCutInTwo) {
  EXPECT_EQ(readable("ab\xc3\xa9", 4), "ab\xc3\xa9");
  EXPECT_EQ(readable("ab\xc3\xa9", 3), "ab...");
  EXPECT_EQ(printable("abcdef", 3), "\"abc...\"");
  EXPECT_EQ(readable("", 3), "");
}

}  // namespace
}  // namespace stickmesh
