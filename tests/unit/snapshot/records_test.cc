#include <msgpack.hpp>

#include "agent/peers/wire/definition.h"
#include "fixture.h"

namespace stickmesh::snapshot {
namespace {

using Packer = msgpack::packer<msgpack::sbuffer>;

/// A file of records that no agent wrote, with a checksum that fits.
class RecordsTest : public testing::Test {
 protected:
  RecordsTest() {
    pack.pack_map(2).pack("agent").pack("agent-1").pack("written").pack(kWall);
    origin("lb1");
    table(table_of("http", {{DataType::kGpc0}}));
  }

  void origin(std::string_view name, std::uint64_t generation = 1) {
    pack.pack_array(2).pack(1).pack_map(2).pack("name").pack(name).pack("generation").pack(generation);
  }
  void table(const TableDefinition& definition) {
    std::vector<std::byte> message;
    Writer writer(message);
    peers::encode_definition(1, definition, writer);
    table(as_text(message));
  }
  void table(std::string_view message) {
    pack.pack_array(2).pack(2).pack_map(2).pack("replicated").pack(false).pack("definition");
    bytes(message);
  }
  void stored(std::uint64_t origin, std::uint64_t types) {
    pack.pack_array(2).pack(3).pack_map(3);
    pack.pack("origin").pack(origin).pack("types").pack(types).pack("live").pack(0);
  }
  void contribution(std::string_view key, std::uint64_t origin, const std::vector<std::int64_t>& cells,
                    std::size_t changes = 1) {
    pack.pack_array(11).pack(4);
    bytes(key);
    pack.pack(origin).pack(1).pack(1).pack(1000).pack(0).pack_nil().pack_nil().pack(cells);
    pack.pack(std::vector<int>(changes));
  }
  void bytes(std::string_view value) {
    pack.pack_bin(static_cast<std::uint32_t>(value.size()));
    pack.pack_bin_body(value.data(), static_cast<std::uint32_t>(value.size()));
  }

  /// What `decode` says of it, or nothing.
  std::string fault() const {
    std::vector<char> file;
    Framer::begin(file);
    file.insert(file.end(), buffer.data(), buffer.data() + buffer.size());
    Framer framer;
    framer.add(as_bytes({file.data(), file.size()}));
    framer.end(file);
    Receiver nobody;
    const Result<void> decoded = decode(as_bytes({file.data(), file.size()}), nobody);
    return decoded ? "" : decoded.error().detail;
  }
  void expect_fault(std::string_view what) const {
    EXPECT_NE(fault().find(what), std::string::npos) << what << ": " << fault();
  }

  msgpack::sbuffer buffer;
  Packer pack{buffer};
  static constexpr std::uint64_t kGpc0 = 1U << static_cast<unsigned>(DataType::kGpc0);
};

TEST_F(RecordsTest, WhatIsAsItShouldBe) {
  stored(0, kGpc0);
  contribution("joe", 0, {5});
  EXPECT_EQ(fault(), "");
}

TEST_F(RecordsTest, WhatALaterVersionAddsIsLeftOut) {
  pack.pack_array(3).pack(99).pack("unknown").pack(7);
  pack.pack_array(2)
      .pack(1)
      .pack_map(3)
      .pack("name")
      .pack("lb2")
      .pack("generation")
      .pack(1)
      .pack("x")
      .pack(1);
  EXPECT_EQ(fault(), "");
}

TEST_F(RecordsTest, OriginsThatDoNotExist) {
  stored(1, kGpc0);
  expect_fault("an origin that has not come yet");
}

TEST_F(RecordsTest, AnOriginThatStoresNothing) {
  contribution("joe", 0, {5});
  expect_fault("stores nothing in the table");
}

TEST_F(RecordsTest, TypesThatTheTableLacks) {
  stored(0, kGpc0 | 1U << 30U);
  expect_fault("types that the table does not have");
}

TEST_F(RecordsTest, CellsOfTheWrongNumber) {
  stored(0, kGpc0);
  contribution("joe", 0, {5, 6});
  expect_fault("a number of cells");
}

TEST_F(RecordsTest, ChangesOfTheWrongNumber) {
  stored(0, kGpc0);
  contribution("joe", 0, {5}, 0);
  expect_fault("a number of cells");
}

TEST_F(RecordsTest, ValuesThatDoNotFitTheirType) {
  stored(0, kGpc0);
  contribution("joe", 0, {0x1'0000'0000});
  expect_fault("a value");
}

TEST_F(RecordsTest, NegativeCounters) {
  stored(0, kGpc0);
  contribution("joe", 0, {-1});
  expect_fault("a value");
}

TEST_F(RecordsTest, KeysThatAreTooLong) {
  stored(0, kGpc0);
  contribution(std::string(33, 'x'), 0, {5});
  expect_fault("a key that does not fit its table");
}

TEST_F(RecordsTest, GenerationsWithoutASuccessor) {
  origin("lb2", 0xffffffff);
  expect_fault("generation");
}

TEST_F(RecordsTest, AKeyOfAMapThatComesTwice) {
  pack.pack_array(2)
      .pack(1)
      .pack_map(3)
      .pack("name")
      .pack("a")
      .pack("name")
      .pack("b")
      .pack("generation")
      .pack(1);
  expect_fault("a second name");
}

TEST_F(RecordsTest, DefinitionsThatNoAgentWrites) {
  table("");
  expect_fault("the definition of a table");
}

TEST_F(RecordsTest, DataTypesThatThisVersionDoesNotKnow) {
  // A table "t" of strings, whose types are bit 40 alone.
  std::vector<std::byte> body;
  Writer writer(body);
  for (const std::uint64_t value : {1ULL, 1ULL}) writer.varint(value);
  writer.bytes(as_bytes("t"));
  for (const std::uint64_t value : {6ULL, 33ULL, 1ULL << 40U, 600'000ULL}) writer.varint(value);
  std::vector<std::byte> message;
  Writer whole(message);
  whole.u8(10);
  whole.u8(0x82);
  whole.varint(body.size());
  whole.bytes(body);
  table(as_text(message));
  expect_fault("the definition of a table");
}

TEST_F(RecordsTest, MoreOriginsThanThereCanBe) {
  for (std::size_t count = 0; count < kMaxOrigins; ++count) origin("x");
  expect_fault("more origins than there can be");
}

TEST_F(RecordsTest, SizesThatAreOnlyClaimed) {
  pack.pack_array(0xffffffff).pack(1);
  expect_fault("no object that this format has");
}

TEST_F(RecordsTest, NestingWithoutEnd) {
  for (int depth = 0; depth < 100'000; ++depth) pack.pack_array(1);
  expect_fault("no object that this format has");
}

TEST_F(RecordsTest, ObjectsOfOtherKinds) {
  pack.pack("text");
  expect_fault("a record");
}

TEST_F(RecordsTest, AnObjectThatEndsWithTheFile) {
  pack.pack_array(2).pack(0);
  expect_fault("no object that this format has");
}

}  // namespace
}  // namespace stickmesh::snapshot
