#include "agent/peers/wire/definition.h"

#include <gtest/gtest.h>

#include "agent/peers/wire/message.h"
#include "tests/unit/peers/hex.h"
#include "tests/unit/peers/vectors.h"

namespace stickmesh::peers {
namespace {

using std::chrono::seconds;

struct Case {
  TableId id;
  TableDefinition definition;
  std::string_view hex;
};

std::vector<Case> cases() {
  return {{1, vectors::src_table(), vectors::kDefineSrc},
          {3, vectors::t1_table(), vectors::kDefineT1},
          {7, vectors::arr_table(), vectors::kDefineArr}};
}

Bytes body_of(const std::vector<std::byte>& message) {
  return parse_frame(message, 131072).message.body;
}

std::vector<std::byte> encoded(TableId id, const TableDefinition& definition) {
  std::vector<std::byte> message;
  Writer writer(message);
  encode_definition(id, definition, writer);
  return message;
}

/// A definition's body from its fields, each of which may be out of bounds.
struct Fields {
  std::uint64_t id = 1;
  std::string name = "t";
  std::uint64_t key_type = 2, key_size = 4, types = 1ULL << 2U, expire = 0;
  std::vector<std::uint64_t> parameters;

  Result<DefinedTable> decode() const {
    std::vector<std::byte> body;
    Writer writer(body);
    writer.varint(id);
    writer.varint(name.size());
    writer.bytes(as_bytes(name));
    for (const std::uint64_t field : {key_type, key_size, types, expire}) writer.varint(field);
    for (const std::uint64_t parameter : parameters) writer.varint(parameter);
    return decode_definition(body);
  }
  Reason refusal() const {
    const auto result = decode();
    return result ? Reason::kCount : result.error().reason;
  }
};

TEST(DefinitionTest, EncodesHAProxysVectors) {
  for (const Case& c : cases()) EXPECT_EQ(to_hex(encoded(c.id, c.definition)), plain(c.hex));
}

TEST(DefinitionTest, DecodesHAProxysVectors) {
  for (const Case& c : cases()) {
    const std::vector<std::byte> message = from_hex(c.hex);
    const auto table = decode_definition(body_of(message));
    ASSERT_TRUE(table) << to_string(table.error());
    EXPECT_EQ(table->id, c.id);
    EXPECT_EQ(table->definition, c.definition);
  }
}

TEST(DefinitionTest, EveryTruncationIsRefused) {
  for (const Case& c : cases()) {
    const std::vector<std::byte> message = from_hex(c.hex);
    const Bytes body = body_of(message);
    for (std::size_t size = 0; size < body.size(); ++size) {
      const auto table = decode_definition(body.first(size));
      // HAProxy before 1.9 ended a definition before its expire time.
      const bool old_style = c.id == 3 && size == body.size() - varint_size(30000);
      EXPECT_EQ(table.has_value(), old_style) << size;
    }
  }
}

TEST(DefinitionTest, EveryDataTypeComesBack) {
  for (std::size_t index = 0; index < kDataTypeCount; ++index) {
    const auto type = static_cast<DataType>(index);
    TableDefinition definition{"t", KeyType::kIpv6, 16, seconds(1), {}};
    definition.types.push_back({type, traits(type).array ? 100U : 1U,
                                traits(type).kind == ValueKind::kRate ? Duration(kMaxTime) : Duration(0)});
    const std::vector<std::byte> message = encoded(0xffffffff, definition);
    const auto table = decode_definition(body_of(message));
    ASSERT_TRUE(table) << to_string(table.error());
    EXPECT_EQ(table->definition, definition);
    EXPECT_EQ(table->id, 0xffffffffU);
  }
}

TEST(DefinitionTest, TypesThatWeDoNotKnowAreLeftOutWithTheirParameters) {
  Fields fields;
  fields.types = 1ULL << 3U | 1ULL << 27U | 1ULL << 40U | 1ULL << 63U;
  fields.parameters = {3, 5000, 40, 7, 63, 1, 2, 3};
  const auto table = fields.decode();
  ASSERT_TRUE(table) << to_string(table.error());
  const std::vector<StoredType> known = {{DataType::kGpc0Rate, 1, seconds(5)}};
  EXPECT_EQ(table->definition.types, known);
}

TEST(DefinitionTest, NamesHaveBounds) {
  Fields fields;
  fields.name = std::string(kMaxTableName, 'n');
  EXPECT_TRUE(fields.decode());
  fields.name += 'n';
  EXPECT_EQ(fields.refusal(), Reason::kBadDefinition);
  fields.name = "";
  EXPECT_EQ(fields.refusal(), Reason::kBadDefinition);
  for (const std::string_view name :
       {std::string_view("a\0b", 3), std::string_view("a\n"), std::string_view("\x7f")}) {
    fields.name = name;
    EXPECT_EQ(fields.refusal(), Reason::kBadDefinition);
  }
  fields.name = "tür";
  EXPECT_TRUE(fields.decode());
}

TEST(DefinitionTest, ANameLengthBeyondTheMessageIsTruncation) {
  for (const char* hex : {"01 07 61", "01 fff0fefe7e 61", "01 fff0fefefefefefefe0e 61"}) {
    const auto table = decode_definition(from_hex(hex));
    ASSERT_FALSE(table) << hex;
    EXPECT_EQ(table.error().reason, Reason::kTruncated) << hex;
  }
}

TEST(DefinitionTest, TableNumbersHave32BitsAndAreNot0) {
  Fields fields;
  fields.id = 0;
  EXPECT_EQ(fields.refusal(), Reason::kBadDefinition);
  fields.id = 0xffffffff;
  EXPECT_TRUE(fields.decode());
  fields.id = 0x100000000;
  EXPECT_EQ(fields.refusal(), Reason::kValueOutOfRange);
}

TEST(DefinitionTest, KeySizesFitTheirTypes) {
  const auto accepts = [](std::uint64_t type, std::uint64_t size) {
    Fields fields;
    fields.key_type = type;
    fields.key_size = size;
    return fields.decode().has_value();
  };
  for (const std::uint64_t type : {2U, 4U}) {
    EXPECT_TRUE(accepts(type, 4));
    for (const std::uint64_t size : {0U, 3U, 5U, 16U}) EXPECT_FALSE(accepts(type, size));
  }
  EXPECT_TRUE(accepts(5, 16));
  EXPECT_FALSE(accepts(5, 4));
  for (const std::uint64_t type : {6U, 7U}) {
    EXPECT_TRUE(accepts(type, 1));
    EXPECT_TRUE(accepts(type, kMaxKeySize));
    EXPECT_FALSE(accepts(type, 0));
    EXPECT_FALSE(accepts(type, kMaxKeySize + 1));
  }
  for (const std::uint64_t type : {0ULL, 1ULL, 3ULL, 8ULL, 255ULL, 262ULL, ~0ULL})
    EXPECT_FALSE(accepts(type, 4)) << type;
}

TEST(DefinitionTest, ExpireIsASigned32BitTime) {
  Fields fields;
  fields.expire = kMaxTime;
  EXPECT_TRUE(fields.decode());
  fields.expire = std::uint64_t{kMaxTime} + 1;
  EXPECT_EQ(fields.refusal(), Reason::kBadDefinition);
}

TEST(DefinitionTest, PeriodsAndElementsHaveBounds) {
  Fields rate;
  rate.types = 1ULL << 3U;
  for (const std::uint64_t period : {1ULL, 0x7fffffffULL}) {
    rate.parameters = {3, period};
    EXPECT_TRUE(rate.decode()) << period;
  }
  for (const std::uint64_t period : {0ULL, 0x80000000ULL, ~0ULL}) {
    rate.parameters = {3, period};
    EXPECT_EQ(rate.refusal(), Reason::kBadDefinition) << period;
  }
  Fields array;
  array.types = 1ULL << 24U;
  for (const std::uint64_t elements : {1U, 100U}) {
    array.parameters = {24, elements, 1000};
    EXPECT_TRUE(array.decode()) << elements;
  }
  for (const std::uint64_t elements : {0ULL, 101ULL, ~0ULL}) {
    array.parameters = {24, elements, 1000};
    EXPECT_EQ(array.refusal(), Reason::kBadDefinition) << elements;
  }
}

TEST(DefinitionTest, ArraysAndRatesWithoutTheirParametersAreRefused) {
  for (const unsigned bit : {3U, 22U, 23U, 24U}) {
    Fields fields;
    fields.types = 1ULL << bit;
    EXPECT_EQ(fields.refusal(), Reason::kBadDefinition) << bit;
    fields.parameters = {bit + 1, 1, 1};
    EXPECT_EQ(fields.refusal(), Reason::kBadDefinition) << bit;
    fields.parameters = {bit};
    EXPECT_EQ(fields.refusal(), Reason::kBadDefinition) << bit;
  }
}

TEST(SwitchTest, ReadsBackTheTable) {
  for (const TableId id : {1U, 239U, 240U, 0xffffffffU}) {
    std::vector<std::byte> message;
    Writer writer(message);
    encode_switch(id, writer);
    EXPECT_EQ(decode_switch(body_of(message)), id);
    EXPECT_FALSE(decode_switch(body_of(message).first(0)));
  }
  EXPECT_FALSE(decode_switch(from_hex("f0f1fefe7e")));
}

}  // namespace
}  // namespace stickmesh::peers
