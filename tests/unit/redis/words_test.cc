#include "agent/redis/words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stickmesh::redis {
namespace {

using namespace std::string_view_literals;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Redis 7.0.15 says these.
constexpr std::string_view kStopping[] = {
    "READONLY You can't write against a read only replica.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "NOREPLICAS Not enough good replicas to write.",
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "NOPERM this user has no permissions to run the 'hset' command",
    "MOVED 9384 127.0.0.1:36817",
    "ASK 9384 127.0.0.1:36817",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "CLUSTERDOWN Hash slot not served",
    "CROSSSLOT Keys in request don't hash to the same slot",
};
constexpr std::string_view kOfOneCommand[] = {
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "ERR wrong number of arguments for 'hset' command",
    "BUSYKEY Target key name already exists.",
    "DENIED Redis is running in protected mode",
    "MOVEDX",
    "moved 1 2",
    "",
    " READONLY",
};

TEST(RedisWordsTest, WhatSpeaksOfTheServerStopsAll) {
  for (const std::string_view error : kStopping) EXPECT_TRUE(stops_all(error)) << error;
  for (const std::string_view error : kOfOneCommand) EXPECT_FALSE(stops_all(error)) << error;
}

TEST(RedisWordsTest, TheKindIsTheFirstWord) {
  EXPECT_EQ(kind_of("OOM command not allowed"), "OOM");
  EXPECT_EQ(kind_of("protocol: it sends what is no reply"), "protocol");
  EXPECT_EQ(kind_of("ERR"), "ERR");
  EXPECT_EQ(kind_of(""), "");
  EXPECT_EQ(kind_of(" x"), "");
}

// It is counted by its kind once the session has ended with the explanation.
TEST(RedisWordsTest, TheExplanationIsOfTheSameKind) {
  for (const std::string_view error : kStopping) EXPECT_EQ(kind_of(explain(error)), kind_of(error));
  for (const std::string_view error : kOfOneCommand) EXPECT_EQ(kind_of(explain(error)), kind_of(error));
}

TEST(RedisWordsTest, TheExplanationSaysWhatToDoAndWhatRedisSaid) {
  EXPECT_EQ(explain("OOM command not allowed when used memory > 'maxmemory'."),
            "OOM: its memory is full: raise its maxmemory, or choose a maxmemory-policy that makes room "
            "(command not allowed when used memory > 'maxmemory'.)");
  EXPECT_EQ(explain("NOAUTH Authentication required."),
            "NOAUTH: it wants a password: set redis.password-file (Authentication required.)");
  EXPECT_EQ(explain("ERR DB index is out of range"), "ERR: DB index is out of range");
  EXPECT_EQ(explain("READONLY"),
            "READONLY: it is a replica that takes no writes: give the master's address ()");
}

TEST(RedisWordsTest, OnlyWhoHasNoClusterIsToldToSetIt) {
  for (const std::string error : {"MOVED 1 a:1", "ASK 1 a:1"}) {
    EXPECT_THAT(explain(error), Not(HasSubstr("set redis.cluster"))) << error;
    EXPECT_THAT(explain_to_one(explain(error)), EndsWith("(1 a:1): set redis.cluster = true")) << error;
  }
  EXPECT_EQ(explain_to_one(explain("OOM x")), explain("OOM x"));
}

TEST(RedisWordsTest, WhatAServerSaysIsFitForALogLine) {
  const std::string said = explain("ERR a\r\nb\x1b[1m\0c"sv);
  EXPECT_THAT(said, AllOf(StartsWith("ERR: a"), Not(HasSubstr("\n")), Not(HasSubstr("\x1b"))));
  EXPECT_LT(explain("ERR " + std::string(100'000, 'x')).size(), 300U);
  EXPECT_LT(explain(std::string(100'000, 'x')).size(), 300U);
  EXPECT_THAT(explain("K\x1b\x07 x"), Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace stickmesh::redis
