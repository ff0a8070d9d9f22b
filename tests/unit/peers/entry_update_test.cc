#include "agent/peers/wire/entry_update.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/peers/hex.h"
#include "tests/unit/peers/vectors.h"

namespace stickmesh::peers {
namespace {

using ::testing::ElementsAre;

constexpr std::uint64_t kMax32 = 0xffffffff;

struct Decoded {
  Result<EntryUpdate> update;
  std::vector<std::uint64_t> cells;
};

Decoded decode_body(TableType type, Bytes body, const TableDefinition& definition) {
  std::vector<std::uint64_t> cells(cell_count(definition));
  Result<EntryUpdate> update = decode_update(type, body, definition, cells);
  return {std::move(update), cells};
}

Decoded decode(Bytes message, const TableDefinition& definition) {
  const Frame frame = parse_frame(message, 131072);
  EXPECT_EQ(frame.status, FrameStatus::kMessage);
  EXPECT_EQ(frame.size, message.size());
  return decode_body(static_cast<TableType>(frame.message.type), frame.message.body, definition);
}

TableDefinition table_of(DataType type, std::uint32_t elements = 1) {
  return {"t", KeyType::kInteger, 4, Duration(0), {{type, elements, Duration(1000)}}};
}

/// An update of id 1 and integer key 1 with these bytes as values; its views are of bytes that are gone.
Decoded decode_values(std::string_view hex, const TableDefinition& definition) {
  return decode_body(TableType::kUpdate, joined({"00000001 00000001", hex}), definition);
}

Reason refusal(const Decoded& decoded) {
  return decoded.update ? Reason::kCount : decoded.update.error().reason;
}

TEST(EntryUpdateTest, DecodesAnExplicitUpdate) {
  const std::vector<std::byte> message = from_hex(vectors::kSrcEntry);
  const Decoded decoded = decode(message, vectors::src_table());
  ASSERT_TRUE(decoded.update);
  EXPECT_TRUE(decoded.update->has_id);
  EXPECT_EQ(decoded.update->id, 1U);
  EXPECT_FALSE(decoded.update->timed);
  EXPECT_EQ(to_hex(decoded.update->key), "0a000001");
  EXPECT_THAT(decoded.cells, ElementsAre(5, 300, 1011, 7, 240));
}

TEST(EntryUpdateTest, DecodesTimedUpdates) {
  std::vector<std::byte> message = from_hex(vectors::kSrcTimed);
  Decoded decoded = decode(message, vectors::src_table());
  ASSERT_TRUE(decoded.update);
  EXPECT_EQ(decoded.update->id, 2U);
  EXPECT_TRUE(decoded.update->timed);
  EXPECT_EQ(decoded.update->remaining, Duration(57982));

  message = from_hex(vectors::kSrcImplicitTimed);
  decoded = decode(message, vectors::src_table());
  ASSERT_TRUE(decoded.update);
  EXPECT_FALSE(decoded.update->has_id);
  EXPECT_EQ(decoded.update->remaining, Duration(57982));
  EXPECT_THAT(decoded.cells, ElementsAre(0, 0, 0, 0, 0));
}

TEST(EntryUpdateTest, DecodesArrays) {
  const std::vector<std::byte> message = from_hex(vectors::kArrEntry);
  const Decoded decoded = decode(message, vectors::arr_table());
  ASSERT_TRUE(decoded.update);
  EXPECT_EQ(to_hex(decoded.update->key), "0000012c");
  EXPECT_THAT(decoded.cells, ElementsAre(1, 2, 3, 4, 5, 0, 6, 0, 100, 7, 1));
}

TEST(EntryUpdateTest, DecodesServerKeys) {
  std::vector<std::byte> message = from_hex(vectors::kT1Foo);
  Decoded decoded = decode(message, vectors::t1_table());
  ASSERT_TRUE(decoded.update);
  EXPECT_EQ(as_text(decoded.update->key), "foo");
  EXPECT_THAT(decoded.cells, ElementsAre(2, kServerKeySet));
  EXPECT_EQ(decoded.update->server_key.slot, 1U);
  EXPECT_EQ(decoded.update->server_key.name, "s1");

  message = from_hex(vectors::kT1Bar);
  decoded = decode(message, vectors::t1_table());
  ASSERT_TRUE(decoded.update);
  EXPECT_THAT(decoded.cells, ElementsAre(2, kServerKeyUnchanged));
  EXPECT_EQ(decoded.update->server_key.slot, 1U);
  EXPECT_FALSE(decoded.update->server_key.has_name);

  message = from_hex(vectors::kT1Baz);
  decoded = decode(message, vectors::t1_table());
  ASSERT_TRUE(decoded.update);
  EXPECT_THAT(decoded.cells, ElementsAre(0, kServerKeyNone));
  EXPECT_EQ(decoded.update->server_key.slot, 0U);
}

TEST(EntryUpdateTest, EveryTruncationIsRefused) {
  struct Whole {
    std::string_view hex;
    TableDefinition definition;
  };
  for (const Whole& c :
       {Whole{vectors::kSrcEntry, vectors::src_table()}, Whole{vectors::kSrcTimed, vectors::src_table()},
        Whole{vectors::kSrcImplicitTimed, vectors::src_table()}, Whole{vectors::kT1Foo, vectors::t1_table()},
        Whole{vectors::kT1Bar, vectors::t1_table()}, Whole{vectors::kT1Baz, vectors::t1_table()},
        Whole{vectors::kArrEntry, vectors::arr_table()}}) {
    const std::vector<std::byte> message = from_hex(c.hex);
    const Message whole = parse_frame(message, 1000).message;
    for (std::size_t size = 0; size < whole.body.size(); ++size) {
      const Decoded decoded =
          decode_body(static_cast<TableType>(whole.type), whole.body.first(size), c.definition);
      EXPECT_EQ(refusal(decoded), Reason::kTruncated) << c.hex << " cut to " << size;
    }
  }
}

TEST(EntryUpdateTest, WhatFollowsTheKnownTypesIsIgnored) {
  EXPECT_THAT(decode_values("07 ff ff ff", table_of(DataType::kGpc0)).cells, ElementsAre(7));
}

TEST(EntryUpdateTest, NumbersFitTheirTypes) {
  EXPECT_THAT(decode_values("fff0fefe7e", table_of(DataType::kGpc0)).cells, ElementsAre(kMax32));
  EXPECT_EQ(refusal(decode_values("f0f1fefe7e", table_of(DataType::kGpc0))), Reason::kValueOutOfRange);
  EXPECT_THAT(decode_values("fff0fefefefefefefe0e", table_of(DataType::kBytesInCnt)).cells,
              ElementsAre(~0ULL));
  EXPECT_EQ(refusal(decode_values("fff0fefefefefefefe0f", table_of(DataType::kBytesInCnt))),
            Reason::kVarintOverflow);
}

TEST(EntryUpdateTest, ServerIdIsSigned) {
  const TableDefinition table = table_of(DataType::kServerId);
  EXPECT_THAT(decode_values("fff0fefefefefefefe0e", table).cells, ElementsAre(~0ULL));
  EXPECT_THAT(decode_values("fff0fefe3e", table).cells, ElementsAre(0x7fffffffU));
  EXPECT_EQ(refusal(decode_values("f0f1fefe3e", table)), Reason::kValueOutOfRange);  // 2^31
  for (const std::int64_t value : {std::int64_t{INT32_MIN}, std::int64_t{INT32_MAX}}) {
    UpdateEncoder encoder;
    encoder.begin(1, std::nullopt);
    encoder.key(KeyType::kInteger, from_hex("00000001"));
    encoder.signed_number(value);
    EXPECT_THAT(decode(encoder.finish(), table).cells, ElementsAre(static_cast<std::uint64_t>(value)));
  }
  UpdateEncoder encoder;
  encoder.begin(1, std::nullopt);
  encoder.key(KeyType::kInteger, from_hex("00000001"));
  encoder.signed_number(std::int64_t{INT32_MIN} - 1);
  EXPECT_EQ(refusal(decode(encoder.finish(), table)), Reason::kValueOutOfRange);
}

TEST(EntryUpdateTest, AgesAreTakenModulo32BitsButCountsAreNot) {
  const TableDefinition table = table_of(DataType::kGpc0Rate);
  EXPECT_THAT(decode_values("f0f1fefe7e 01 02", table).cells, ElementsAre(0, 1, 2));
  EXPECT_EQ(refusal(decode_values("00 f0f1fefe7e 00", table)), Reason::kValueOutOfRange);
  EXPECT_EQ(refusal(decode_values("00 00 f0f1fefe7e", table)), Reason::kValueOutOfRange);
}

TEST(EntryUpdateTest, StringsAreShorterThanTheirTable) {
  TableDefinition table = table_of(DataType::kGpc0);
  table.key_type = KeyType::kString;
  table.key_size = 4;
  const auto reason = [&](std::string_view hex) {
    return refusal(decode_body(TableType::kUpdate, joined({"00000001", hex}), table));
  };
  EXPECT_EQ(reason("03 616263 00"), Reason::kCount);
  EXPECT_EQ(reason("00 00"), Reason::kCount);
  EXPECT_EQ(reason("04 61626364 00"), Reason::kBadKey);
  EXPECT_EQ(reason("fff0fefefefefefefe0e 61 00"), Reason::kBadKey);
  EXPECT_EQ(reason("03 610063 00"), Reason::kBadKey);
}

TEST(EntryUpdateTest, ARemainingTimeOf31BitsOrMoreIsOver) {
  const TableDefinition table = table_of(DataType::kGpc0);
  const auto remaining = [&](std::string_view hex) {
    return decode_body(TableType::kTimedUpdate, joined({"00000001", hex, "00000001 00"}), table)
        .update->remaining;
  };
  EXPECT_EQ(remaining("7fffffff"), Duration(0x7fffffff));
  EXPECT_EQ(remaining("80000000"), Duration(0));
  EXPECT_EQ(remaining("ffffffff"), Duration(0));
  EXPECT_EQ(remaining("00000000"), Duration(0));
}

TEST(EntryUpdateTest, DictionarySlotsAre1To128) {
  const TableDefinition table = table_of(DataType::kServerKey);
  EXPECT_EQ(decode_values("01 80", table).update->server_key.slot, 128U);
  EXPECT_EQ(refusal(decode_values("01 00", table)), Reason::kBadDictionaryId);
  EXPECT_EQ(refusal(decode_values("01 81", table)), Reason::kBadDictionaryId);
  EXPECT_EQ(refusal(decode_values("0a fff0fefefefefefefe0e", table)), Reason::kBadDictionaryId);
}

TEST(EntryUpdateTest, DictionaryLengthsStayWithinTheirField) {
  const TableDefinition table = table_of(DataType::kServerKey);
  EXPECT_EQ(decode_values("02 01 00", table).cells.front(), kServerKeySet);
  EXPECT_EQ(refusal(decode_values("04 01 03 6162 63", table)), Reason::kTruncated);
  EXPECT_EQ(refusal(decode_values("04 01 02", table)), Reason::kTruncated);
  EXPECT_EQ(refusal(decode_values("02 01 f0", table)), Reason::kTruncated);
  EXPECT_EQ(refusal(decode_values("03 01 01 00", table)), Reason::kValueOutOfRange);
  EXPECT_EQ(decode_values("05 01 02 6162 ff", table).update->server_key.name.size(), 2U);
}

TEST(EntryUpdateTest, ServerNamesHaveABound) {
  const TableDefinition table = table_of(DataType::kServerKey);
  const auto with_name = [&](std::size_t size) {
    std::vector<std::byte> body = from_hex("00000001 00000001");
    Writer writer(body);
    writer.varint(1 + varint_size(size) + size);
    writer.varint(1);
    writer.varint(size);
    writer.bytes(as_bytes(std::string(size, 's')));
    return refusal(decode_body(TableType::kUpdate, body, table));
  };
  EXPECT_EQ(with_name(kMaxServerKey), Reason::kCount);
  EXPECT_EQ(with_name(kMaxServerKey + 1), Reason::kValueOutOfRange);
}

TEST(UpdateEncoderTest, WritesHAProxysVectors) {
  UpdateEncoder encoder;
  encoder.begin(1, std::nullopt);
  encoder.key(KeyType::kIpv4, from_hex("0a000001"));
  encoder.number(5);
  encoder.number(300);
  encoder.rate(1011, 7, 240);
  EXPECT_EQ(to_hex(encoder.finish()), plain(vectors::kSrcEntry));

  encoder.begin(2, Duration(57982));
  encoder.key(KeyType::kIpv4, from_hex("0a000001"));
  encoder.number(5);
  encoder.number(300);
  encoder.rate(1011, 7, 240);
  EXPECT_EQ(to_hex(encoder.finish()), plain(vectors::kSrcTimed));

  encoder.begin(1, std::nullopt);
  encoder.key(KeyType::kString, as_bytes("foo"));
  encoder.signed_number(2);
  encoder.server_key("s1");
  EXPECT_EQ(to_hex(encoder.finish()), plain(vectors::kT1Foo));
}

TEST(UpdateEncoderTest, HeadersOfAllSizesFit) {
  UpdateEncoder encoder;
  for (const std::size_t size : {1U, 200U, 240U, 2300U, 16000U, 65536U, 300000U}) {
    TableDefinition table = table_of(DataType::kGpc0);
    table.key_type = KeyType::kBinary;
    table.key_size = static_cast<std::uint32_t>(size);
    const std::string key(size, 'k');
    encoder.begin(9, std::nullopt);
    encoder.key(KeyType::kBinary, as_bytes(key));
    encoder.number(1);
    const Bytes message = encoder.finish();
    const Frame frame = parse_frame(message, 400000);
    ASSERT_EQ(frame.status, FrameStatus::kMessage) << size;
    ASSERT_EQ(frame.size, message.size());
    const Decoded decoded = decode_body(TableType::kUpdate, frame.message.body, table);
    ASSERT_TRUE(decoded.update);
    EXPECT_EQ(as_text(decoded.update->key), key);
  }
}

TEST(UpdateEncoderTest, EveryDataTypeComesBack) {
  UpdateEncoder encoder;
  for (std::size_t index = 0; index < kDataTypeCount; ++index) {
    const auto type = static_cast<DataType>(index);
    const std::uint32_t elements = traits(type).array ? kMaxArrayElements : 1;
    const TableDefinition table = table_of(type, elements);
    std::vector<std::uint64_t> expected;
    encoder.begin(0xfffffffe, Duration(1));
    encoder.key(KeyType::kInteger, from_hex("01020304"));
    for (std::uint32_t element = 0; element < elements; ++element) {
      switch (traits(type).kind) {
        case ValueKind::kSigned32:
          encoder.signed_number(-7);
          expected.push_back(static_cast<std::uint64_t>(-7));
          break;
        case ValueKind::kUnsigned32:
          encoder.number(kMax32 - element);
          expected.push_back(kMax32 - element);
          break;
        case ValueKind::kUnsigned64:
          encoder.number(~0ULL);
          expected.push_back(~0ULL);
          break;
        case ValueKind::kRate:
          encoder.rate(kMaxTime - element, 0xffffffff, element);
          expected.insert(expected.end(), {kMaxTime - element, kMax32, element});
          break;
        case ValueKind::kDictionary:
          encoder.server_key("srv");
          expected.push_back(kServerKeySet);
          break;
      }
    }
    const Decoded decoded = decode(encoder.finish(), table);
    ASSERT_TRUE(decoded.update) << traits(type).name;
    EXPECT_EQ(decoded.cells, expected) << traits(type).name;
    EXPECT_EQ(decoded.update->id, 0xfffffffeU);
    EXPECT_EQ(decoded.update->remaining, Duration(1));
  }
}

TEST(UpdateEncoderTest, NeverSendsATimeThatHAProxyReadsAsNegative) {
  UpdateEncoder encoder;
  encoder.begin(1, Duration(std::chrono::hours(24 * 365)));
  encoder.key(KeyType::kInteger, from_hex("00000001"));
  encoder.rate(0xffffffff, 0, 0);
  const Decoded decoded = decode(encoder.finish(), table_of(DataType::kGpc0Rate));
  EXPECT_EQ(decoded.update->remaining, Duration(kMaxTime));
  EXPECT_THAT(decoded.cells, ElementsAre(kMaxTime, 0, 0));
}

TEST(UpdateEncoderTest, AServerKeyThatIsEmptyOrTooLongIsNone) {
  UpdateEncoder encoder;
  const std::string too_long(kMaxServerKey + 1, 's');
  for (const std::string_view name : {std::string_view(), std::string_view(too_long)}) {
    encoder.begin(1, std::nullopt);
    encoder.key(KeyType::kInteger, from_hex("00000001"));
    encoder.server_key(name);
    EXPECT_THAT(decode(encoder.finish(), table_of(DataType::kServerKey)).cells, ElementsAre(kServerKeyNone));
  }
}

TEST(CellsTest, AreCountedByTypeAndElements) {
  EXPECT_EQ(cell_count(vectors::src_table()), 5U);
  EXPECT_EQ(cell_count(vectors::arr_table()), 11U);
  EXPECT_EQ(cell_count({}), 0U);
  EXPECT_EQ(server_key_cell(vectors::t1_table()), 1U);
  EXPECT_FALSE(server_key_cell(vectors::src_table()).has_value());
}

}  // namespace
}  // namespace stickmesh::peers
