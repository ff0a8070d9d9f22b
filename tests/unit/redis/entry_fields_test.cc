#include "agent/redis/entry_fields.h"

#include <gmock/gmock.h>

#include "tests/unit/redis/tables_fixture.h"

namespace stickmesh::redis {
namespace {

using namespace std::string_view_literals;
using ::testing::ElementsAre;

constexpr std::chrono::system_clock::time_point kWall{std::chrono::milliseconds(1'700'000'000'000)};

class EntryKeysTest : public TablesTest {
 protected:
  std::string key_of(KeyType type, std::uint32_t size, std::string_view key) {
    const std::string name = "t" + std::to_string(registry_.tables().size());
    const pipeline::TableRecord& record =
        declare(name, {{DataType::kGpc0}}, std::chrono::minutes(10), type, size);
    EntryKeys keys("stickmesh", *record.table);
    const std::string found(keys.of(set(name, key)));
    const std::string head = "stickmesh:" + name + ":";
    EXPECT_EQ(found.substr(0, head.size()), head);
    return found.substr(head.size());
  }
};

TEST_F(EntryKeysTest, EachTypeAsHaproxyShowsIt) {
  EXPECT_EQ(key_of(KeyType::kIpv4, 4, "\xc0\x00\x02\x01"sv), "192.0.2.1");
  EXPECT_EQ(key_of(KeyType::kIpv6, 16, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"sv), "2001:db8::1");
  EXPECT_EQ(key_of(KeyType::kIpv6, 16, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x01"sv), "::ffff:192.0.2.1");
  EXPECT_EQ(key_of(KeyType::kInteger, 4, "\xff\xff\xff\xfe"sv), "4294967294");
  EXPECT_EQ(key_of(KeyType::kBinary, 4, "\x00\xff\x10\xa0"sv), "00FF10A0");
  EXPECT_EQ(key_of(KeyType::kString, 33, "joe"), "joe");
}

// A reader who knows the string finds it without our way to escape it.
TEST_F(EntryKeysTest, StringsAsTheyAre) {
  EXPECT_EQ(key_of(KeyType::kString, 33, "a:b% c\\=\r\n\xff\x01"), "a:b% c\\=\r\n\xff\x01");
}

TEST_F(EntryKeysTest, ATableCannotLookLikeAnotherOnesKey) {
  EXPECT_EQ(key_part("http"), "http");
  EXPECT_EQ(key_part("a:b"), "a%3Ab");
  EXPECT_EQ(key_part("a%3Ab"), "a%253Ab");
  EXPECT_EQ(key_part(":%:"), "%3A%25%3A");
  EXPECT_EQ(key_part(""), "");
  declare("a:b%");
  EntryKeys keys("site", *table("a:b%").table);
  EXPECT_EQ(keys.of(set("a:b%", "c:d")), "site:a%3Ab%25:c:d");
}

TEST_F(EntryKeysTest, NothingOfALongerKeyStays) {
  declare("t");
  EntryKeys keys("p", *table("t").table);
  const store::EntryId longer = set("t", "a-long-key");
  const store::EntryId shorter = set("t", "k");
  EXPECT_EQ(keys.of(longer), "p:t:a-long-key");
  EXPECT_EQ(keys.of(shorter), "p:t:k");
}

class EntryFieldsTest : public TablesTest {
 protected:
  std::vector<std::string> fields(EntryFields& of, store::EntryId entry) {
    const auto all = of.of(entry, now_, kWall);
    return {all.begin(), all.end()};
  }
  std::vector<std::string> fields(std::string_view name, store::EntryId entry) {
    EntryFields of(*table(name).table);
    return fields(of, entry);
  }
};

TEST_F(EntryFieldsTest, NumbersOfEachWidth) {
  declare("t", {{DataType::kServerId}, {DataType::kGpc0}, {DataType::kBytesInCnt}});
  EXPECT_THAT(
      fields("t", set("t", "joe",
                      {{"server_id", 3}, {"gpc0", 0xffff'ffff}, {"bytes_in_cnt", 0xffff'ffff'ffff'ffff}})),
      ElementsAre("server_id", "3", "gpc0", "4294967295", "bytes_in_cnt", "18446744073709551615"));
}

TEST_F(EntryFieldsTest, ASignedNumberMayBeNegative) {
  declare("t", {{DataType::kServerId}});
  EXPECT_THAT(fields("t", set("t", "joe", {{"server_id", static_cast<std::uint64_t>(-1)}})),
              ElementsAre("server_id", "-1"));
  EXPECT_THAT(fields("t", set("t", "joe", {{"server_id", static_cast<std::uint64_t>(-2147483648LL)}})),
              ElementsAre("server_id", "-2147483648"));
}

TEST_F(EntryFieldsTest, ATextOrNone) {
  declare("t", {{DataType::kServerKey}});
  EXPECT_THAT(fields("t", set("t", "joe", {{"server_key", 0}}, "web 1:\r\n")),
              ElementsAre("server_key", "web 1:\r\n"));
  EXPECT_THAT(fields("t", set("t", "amy", {{"server_key", 0}})), ElementsAre("server_key", ""));
}

TEST_F(EntryFieldsTest, ArraysHaveAFieldForEachElement) {
  declare("t", {{DataType::kGpt, 2}, {DataType::kGpc, 3}});
  EXPECT_THAT(fields("t", set("t", "joe", {{"gpt1", 7}, {"gpc0", 4}, {"gpc2", 5}})),
              ElementsAre("gpt0", "0", "gpt1", "7", "gpc0", "4", "gpc1", "0", "gpc2", "5"));
}

TEST_F(EntryFieldsTest, ARateIsWhatAReaderSeesWithTheCounterThatItIsReadFrom) {
  declare("t", {{DataType::kHttpReqRate, 1, Duration(10'000)}});
  const store::EntryId joe = set("t", "joe", {{"http_req_rate", 40}});
  EntryFields of(*table("t").table);
  EXPECT_THAT(fields(of, joe),
              ElementsAre("http_req_rate", "40", "http_req_rate.counter", "1700000000000 40 0"));
  now_ += Duration(2500);
  EXPECT_THAT(fields(of, joe),
              ElementsAre("http_req_rate", "40", "http_req_rate.counter", "1699999997500 40 0"))
      << "the period began as long ago";
  now_ += Duration(10'000);
  EXPECT_THAT(fields(of, joe)[1], "30") << "a quarter of the next period has passed";
}

TEST_F(EntryFieldsTest, ArraysOfRatesHaveBothForEachElement) {
  declare("t", {{DataType::kGpcRate, 2, Duration(10'000)}});
  EXPECT_THAT(fields("t", set("t", "joe", {{"gpc1_rate", 9}})),
              ElementsAre("gpc0_rate", "0", "gpc0_rate.counter", "1700000000000 0 0", "gpc1_rate", "9",
                          "gpc1_rate.counter", "1700000000000 9 0"));
}

TEST_F(EntryFieldsTest, TotalsAreOfAllOrigins) {
  declare("sum");
  pipeline::Instance lb1(hub_, "lb1", 7, now_);
  TableDefinition definition = table("sum").table->definition();
  definition.name = "/sum";
  lb1.push(1, definition, "joe", 1, {40});
  lb1.exchange(now_);
  EXPECT_THAT(fields("sum", set("sum", "joe", {{"gpc0", 2}})), ElementsAre("gpc0", "42"));
}

TEST_F(EntryFieldsTest, OneObjectServesAllEntriesAndFollowsTheTable) {
  declare("t", {{DataType::kGpc0}, {DataType::kServerKey}});
  const store::EntryId joe = set("t", "joe", {{"gpc0", 123456}, {"server_key", 0}}, "a-long-name");
  const store::EntryId amy = set("t", "amy", {{"gpc0", 1}, {"server_key", 0}}, "b");
  EntryFields of(*table("t").table);
  EXPECT_THAT(fields(of, joe), ElementsAre("gpc0", "123456", "server_key", "a-long-name"));
  EXPECT_THAT(fields(of, amy), ElementsAre("gpc0", "1", "server_key", "b"));
  TableDefinition more = table("t").table->definition();
  more.types.insert(more.types.begin(), {DataType::kGpt0});
  ASSERT_TRUE(table("t").table->extend(more));
  EXPECT_THAT(fields(of, joe), ElementsAre("gpt0", "0", "gpc0", "123456", "server_key", "a-long-name"));
}

TEST_F(EntryFieldsTest, EachTypeHasHaproxysName) {
  for (std::size_t index = 0; index < kDataTypeCount; ++index) {
    const DataTypeTraits& of = kDataTypes[index];
    const bool rate = of.kind == ValueKind::kRate;
    const std::string table_name = "t" + std::to_string(index);
    declare(table_name, {{static_cast<DataType>(index), 1, Duration(rate ? 1000 : 0)}});
    const std::vector<std::string> found = fields(table_name, set(table_name, "joe", {}));
    std::string name(of.name);
    // gpc_rate of an array is gpc0_rate.
    if (of.array) name.insert(3, "0");
    ASSERT_EQ(found.size(), rate ? 4U : 2U) << name;
    EXPECT_EQ(found[0], name);
    if (rate) {
      EXPECT_EQ(found[2], name + ".counter");
    }
  }
}

}  // namespace
}  // namespace stickmesh::redis
